"""A page of the structures with their errors, in chemiscope."""

import gzip
import json
from dataclasses import replace
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any, Dict, List

import ase
import chemiscope
import numpy as np

from .evaluation import Block, Evaluation
from .shapes import Drawing, drawings, extents


MAX_STRUCTURES = 200
ENVIRONMENT = 3.5  # Å, what chemiscope shows around an atom
TEMPLATE = Path(__file__).with_name("structures.html")


def write_structures(evaluation: Evaluation, title: str, folder: Path) -> List[Path]:
    """Write ``structures.json.gz`` and ``structures.html``.

    The page has chemiscope's JavaScript in itself and needs no network. Of many
    structures it has 200, at equal distances in the data.

    :param evaluation: predictions and references.
    :param title: what the structures are.
    :param folder: where to write.
    :return: the files.
    """
    evaluation = _thinned(evaluation)
    frames = evaluation.structures
    drawn = drawings(evaluation)
    properties = _properties(evaluation)
    is_of_atoms = any(of["target"] == "atom" for of in properties.values())
    dataset = chemiscope.create_input(
        frames,
        metadata={"name": title},
        properties=properties,
        environments=(
            chemiscope.all_atomic_environments(frames, ENVIRONMENT)
            if is_of_atoms
            else None
        ),
        shapes={name: shape for of in drawn for name, shape in of.shapes.items()},
        settings=_settings(evaluation, properties, drawn),
    )
    data, page = folder / "structures.json.gz", folder / "structures.html"
    text = json.dumps(dataset)
    data.write_bytes(gzip.compress(text.encode()))
    library = files("chemiscope").joinpath("sphinx", "static", "chemiscope.min.js")
    page.write_text(
        Template(TEMPLATE.read_text(encoding="utf8")).substitute(
            title=escape(title),
            explanation=_explanation(drawn),
            library=_in_html(library.read_text(encoding="utf8")),
            dataset=_in_html(text),
        ),
        encoding="utf8",
    )
    return [data, page]


def _in_html(script: str) -> str:
    """A script, without what would end its element."""
    return script.replace("</script", "<\\/script")


def _thinned(evaluation: Evaluation) -> Evaluation:
    """At most ``MAX_STRUCTURES`` of the structures."""
    number = len(evaluation.structures)
    kept = np.unique(np.linspace(0, number - 1, MAX_STRUCTURES).round().astype(int))
    if number <= MAX_STRUCTURES:
        kept = np.arange(number)
    blocks = []
    for block in evaluation.blocks:
        is_kept = np.isin(block.samples[:, 0], kept)
        samples = block.samples[is_kept]
        samples[:, 0] = np.searchsorted(kept, samples[:, 0])
        blocks.append(
            replace(
                block,
                samples=samples,
                predicted=block.predicted[is_kept],
                reference=block.reference[is_kept],
            )
        )
    return Evaluation([evaluation.structures[i] for i in kept], blocks)


def _properties(evaluation: Evaluation) -> Dict[str, Dict[str, Any]]:
    """References, predictions and errors: norms where there are several numbers."""
    frames = evaluation.structures
    result: Dict[str, Dict[str, Any]] = {
        "atoms": {"target": "structure", "values": [len(frame) for frame in frames]}
    }
    for quantity, blocks in evaluation.quantities().items():
        place = blocks[0].place
        if place == "pair":
            values = {"RMSE": _rmse_of_structures(blocks, len(frames))}
        else:
            values = {}
            for block in blocks:
                rows, number = evaluation.rows(block)
                of_kinds = {
                    "reference": _size(block.reference),
                    "predicted": _size(block.predicted),
                    "error": np.abs(_size(block.predicted - block.reference)),
                }
                for kind, sizes in of_kinds.items():
                    values.setdefault(kind, np.full(number, np.nan))[rows] = sizes
        for kind, array in values.items():
            result[f"{quantity} {kind}"] = {
                "target": "atom" if place == "atom" else "structure",
                "values": array,
                "units": blocks[0].unit,
            }
    return result


def _size(values: np.ndarray) -> np.ndarray:
    """The number of every sample, or the norm of its numbers: ``(samples,)``."""
    values = values.reshape(len(values), -1)
    return values[:, 0] if values.shape[1] == 1 else np.linalg.norm(values, axis=1)


def _rmse_of_structures(blocks: List[Block], number: int) -> np.ndarray:
    """The errors of all pairs in every structure."""
    total, count = np.zeros(number), np.zeros(number)
    for block in blocks:
        squares = (block.predicted - block.reference).reshape(len(block.samples), -1)
        squares = squares**2
        np.add.at(total, block.samples[:, 0], np.nansum(squares, axis=1))
        np.add.at(count, block.samples[:, 0], np.isfinite(squares).sum(axis=1))
    return np.sqrt(np.divide(total, count, np.full(number, np.nan), where=count > 0))


def _settings(
    evaluation: Evaluation,
    properties: Dict[str, Dict[str, Any]],
    drawn: List[Drawing],
) -> Dict[str, Any]:
    """What is to be seen first: a target that has shapes, if there is one.

    Of the shapes, the first arrows and the first ellipsoids, both of structures or
    both of atoms if there are such.
    """
    for among in (
        [drawing for drawing in drawn if drawing.place == "structure"],
        [drawing for drawing in drawn if drawing.place == "atom"],
        drawn,
    ):
        shown = list({drawing.form: drawing for drawing in reversed(among)}.values())
        if len(shown) == 2:
            break
    targets = {drawing.target for drawing in shown}
    blocks = evaluation.blocks
    first = next((block for block in blocks if block.target in targets), blocks[0])
    x, y, color = [f"{first.quantity} {k}" for k in ("reference", "predicted", "error")]
    if x not in properties:  # of pairs
        x, y, color = "atoms", f"{first.quantity} RMSE", f"{first.quantity} RMSE"
    result: Dict[str, Any] = {
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
    arrows = [
        [shape["parameters"]["structure"] for shape in drawing.shapes.values()]
        for drawing in shown
        if drawing.form == "arrow" and drawing.place == result["target"] == "structure"
    ]
    share = 0.75  # one whose shapes are large, though not the largest
    if arrows:  # short ones, of reference or prediction, are hidden between atoms
        vectors = np.array([[a["vector"] for a in of_kind] for of_kind in arrows[0]])
        lengths = np.linalg.norm(vectors, axis=2).min(0)
        sizes = lengths / extents(evaluation, "structure")
        share = 1.0
    known = np.flatnonzero(np.isfinite(properties[color]["values"]))
    if shown and len(known) > 0:
        opened = int(known[np.argsort(sizes[known])[int(share * (len(known) - 1))]])
        result["pinned"] = [opened]
        if arrows:
            result["structure"][0]["camera"] = _camera(
                evaluation.structures[opened],
                vectors[-1, opened],  # the prediction, which is the wider arrow
            )
    return result


def _camera(structure: ase.Atoms, vector: np.ndarray) -> Dict[str, Any]:
    """A view of a structure with a vector at its center, which points upwards.

    :param structure: the structure.
    :param vector: the vector, in Å.
    :return: the setting. Its center is what the center of the view is moved to, its
        zoom where that is before 3Dmol's camera, at 150 Å, that sees 20° to all sides.
    """
    center = structure.get_center_of_mass()
    distances = np.linalg.norm(structure.positions - center, axis=1)
    length = np.linalg.norm(vector)
    size = 1.4 * max(distances.max(), length, 1.0)
    up = np.array([0.0, 1.0, 0.0])
    axis = vector / length + up
    if np.linalg.norm(axis) < 0.01:
        axis = np.array([1.0, 0.0, 0.0])
    # By half a turn, which is its own inverse
    rotation = 2 * np.outer(axis, axis) / (axis @ axis) - np.eye(3)
    points = {"center": -center, "eye": rotation[2] - center, "up": rotation[1]}
    return {
        **{name: dict(zip("xyz", point.tolist())) for name, point in points.items()},
        "zoom": 150 - float(size / np.tan(np.radians(20))),
    }


def _explanation(drawn: List[Drawing]) -> str:
    """What the properties and the shapes are, in HTML."""
    text = (
        "Where a target has several numbers, its size is their norm, and its error the "
        "norm of the difference."
    )
    if drawn:
        scales = [f"{escape(of.target)}, {of.scale}" for of in drawn]
        text += (
            " <b style='color: #4477aa'>Reference</b> (thin arrows, rings around "
            "ellipsoids) and <b style='color: #ee7733'>predicted</b> tensors (wide "
            "arrows, whole ellipsoids): arrows are vectors, ellipsoids have the square "
            "roots of the eigenvalues of the symmetric part as semiaxes; where an "
            "eigenvalue is negative, that of its absolute value and another color: "
            "<b style='color: #aa3377'>reference</b>, "
            "<b style='color: #bbaa22'>predicted</b>. "
            f"Scales: {'; '.join(scales)}. "
            "Which ones are shown is chosen in the menu of the structure."
        )
    return text
