"""What the page of the structures shows first, and when one of them is asked for."""

from typing import Any, Dict, List, Optional

import ase
import numpy as np

from .evaluation import Evaluation
from .shapes import Drawing, extents


Settings = Dict[str, Any]  # in the form of chemiscope


def settings(
    evaluation: Evaluation,
    properties: Dict[str, Dict[str, Any]],
    drawn: List[Drawing],
) -> Settings:
    """What is to be seen first: a target that has shapes, if there is one.

    :param evaluation: predictions and references.
    :param properties: of structures and atoms, in the form of chemiscope.
    :param drawn: all shapes.
    """
    shown = _shown(drawn)
    targets = {drawing.target for drawing in shown}
    blocks = evaluation.blocks
    first = next((block for block in blocks if block.target in targets), blocks[0])
    x, y, color = [f"{first.quantity} {k}" for k in ("reference", "predicted", "error")]
    if x not in properties:  # of pairs
        x, y, color = "atoms", f"{first.quantity} RMSE", f"{first.quantity} RMSE"
    result: Settings = {
        "target": properties[color]["target"],
        "map": {
            "x": {"property": x},
            "y": {"property": y},
            "color": {"property": color},
        },
        "structure": [
            {
                "shape": ",".join(name for of in shown for name in of.shapes),
                # Ellipsoids of atoms stand for the atoms
                "atoms": not any(
                    of.form == "ellipsoid" and of.place == "atom" for of in shown
                ),
                "unitCell": any(f.pbc.any() for f in evaluation.structures),
                "environments": {"activated": False},  # all atoms, not those near one
            }
        ],
    }
    sizes = np.asarray(properties[y]["values"])
    share = 0.75  # one whose shapes are large, though not the largest
    arrow = _arrow(shown)
    if arrow is not None and result["target"] == "structure":
        # The one whose shorter arrow is longest
        lengths = np.linalg.norm(arrow.vectors, axis=2).min(0)
        sizes, share = lengths / extents(evaluation, "structure"), 1.0
    known = np.flatnonzero(np.isfinite(properties[color]["values"]))
    if shown and len(known) > 0:
        opened = int(known[np.argsort(sizes[known])[int(share * (len(known) - 1))]])
        result["pinned"] = [opened]
        if result["target"] == "structure":
            camera = cameras(evaluation, drawn)[opened]
            if camera is not None:
                result["structure"][0]["camera"] = camera
    return result


def views(evaluation: Evaluation, target: str, drawn: List[Drawing]) -> List[Settings]:
    """What a link to each structure opens.

    :param evaluation: predictions and references.
    :param target: ``structure`` or ``atom``, what the points of the map are.
    :param drawn: all shapes.
    :return: for every structure, ``pinned``, its number or that of its first atom, and
        ``camera``, which is ``None`` for that of chemiscope.
    """
    numbers = np.arange(len(evaluation.structures))
    if target == "atom":
        numbers = np.cumsum([0, *map(len, evaluation.structures)])[:-1]
    return [
        {"pinned": number, "camera": camera}
        for number, camera in zip(numbers.tolist(), cameras(evaluation, drawn))
    ]


def _shown(drawn: List[Drawing]) -> List[Drawing]:
    """The first arrows and the first ellipsoids.

    Both are of structures, or both of atoms, if there are such.
    """
    shown: List[Drawing] = []
    for among in (
        [drawing for drawing in drawn if drawing.place == "structure"],
        [drawing for drawing in drawn if drawing.place == "atom"],
        drawn,
    ):
        shown = list({drawing.form: drawing for drawing in reversed(among)}.values())
        if len(shown) == 2:
            break
    return shown


def _arrow(shown: List[Drawing]) -> Optional[Drawing]:
    """The arrows of structures, if such are shown."""
    return next((d for d in shown if (d.form, d.place) == ("arrow", "structure")), None)


def cameras(
    evaluation: Evaluation, drawn: List[Drawing]
) -> List[Optional[Dict[str, Any]]]:
    """Views in which the arrow of a structure points upwards.

    :param evaluation: predictions and references.
    :param drawn: all shapes.
    :return: for every structure; ``None`` where no arrow is shown.
    """
    arrow = _arrow(_shown(drawn))
    if arrow is None:
        return [None] * len(evaluation.structures)
    return [
        _camera(structure, start, vectors)
        if np.linalg.norm(vectors[-1]) > 0  # the prediction, which is the wider arrow
        else None
        for structure, start, vectors in zip(
            evaluation.structures, arrow.starts, arrow.vectors.swapaxes(0, 1)
        )
    ]


def _camera(
    structure: ase.Atoms, start: np.ndarray, vectors: np.ndarray
) -> Dict[str, Any]:
    """A view of a structure in which the last of its vectors points upwards.

    :param structure: the structure.
    :param start: where the vectors start, in Å.
    :param vectors: in Å, ``(2, 3)``; NaN where there is none.
    :return: the setting. Its center is what the center of the view is moved to, its
        zoom where that is before 3Dmol's camera, at 150 Å, that sees 20° to the left
        and right.
    """
    points = np.vstack([structure.positions, start + vectors])
    center = (np.nanmin(points, axis=0) + np.nanmax(points, axis=0)) / 2
    size = 1.4 * max(np.nanmax(np.linalg.norm(points - center, axis=1)), 1.0)
    up = np.array([0.0, 1.0, 0.0])
    axis = vectors[-1] / np.linalg.norm(vectors[-1]) + up
    if np.linalg.norm(axis) < 0.01:
        axis = np.array([1.0, 0.0, 0.0])
    # By half a turn, which is its own inverse
    rotation = 2 * np.outer(axis, axis) / (axis @ axis) - np.eye(3)
    directions = {"center": -center, "eye": rotation[2] - center, "up": rotation[1]}
    return {
        **{
            name: dict(zip("xyz", point.tolist())) for name, point in directions.items()
        },
        "zoom": 150 - float(size / np.tan(np.radians(20))),
    }
