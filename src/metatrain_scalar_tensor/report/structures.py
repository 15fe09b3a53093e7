"""A page of the structures with their errors, in chemiscope."""

import gzip
import json
from dataclasses import replace
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any, Dict, List, Sequence

import chemiscope
import numpy as np

from .errors import rmse_of_structures
from .evaluation import Evaluation
from .shapes import Drawing, drawings
from .views import settings, views


MAX_STRUCTURES = 200
ENVIRONMENT = 3.5  # Å, what chemiscope shows around an atom
TEMPLATE = Path(__file__).with_name("structures.html")


def write_structures(
    evaluation: Evaluation, title: str, linked: Sequence[int], folder: Path
) -> List[Path]:
    """Write ``structures.json.gz`` and ``structures.html``.

    The page has chemiscope's JavaScript in itself and needs no network. Of many
    structures it has 200: those that are linked to, and others at equal distances in
    the data. ``structures.html#7`` opens structure 7 of the data, counted from 0.

    :param evaluation: predictions and references.
    :param title: what the structures are.
    :param linked: structures that the page must have.
    :param folder: where to write.
    :return: the files.
    """
    numbers = _numbers(len(evaluation.structures), linked)
    evaluation = _thinned(evaluation, numbers)
    frames = evaluation.structures
    drawn = drawings(evaluation)
    properties = {
        "number": {
            "target": "structure",
            "values": numbers,
            "description": "in the data, counted from 0",
        },
        **_properties(evaluation),
    }
    first = settings(evaluation, properties, drawn)
    opened = views(evaluation, first["target"], drawn)
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
        settings=first,
    )
    data, page = folder / "structures.json.gz", folder / "structures.html"
    text = json.dumps(dataset)
    data.write_bytes(gzip.compress(text.encode()))
    library = files("chemiscope") / "sphinx" / "static" / "chemiscope.min.js"
    page.write_text(
        Template(TEMPLATE.read_text(encoding="utf8")).substitute(
            title=escape(title),
            explanation=_explanation(drawn),
            library=_in_html(library.read_text(encoding="utf8")),
            dataset=_in_html(text),
            views=json.dumps(dict(zip(numbers.tolist(), opened))),
        ),
        encoding="utf8",
    )
    return [data, page]


def _in_html(script: str) -> str:
    """A script, without what would end its element."""
    return script.replace("</script", "<\\/script")


def _numbers(number: int, linked: Sequence[int]) -> np.ndarray:
    """The structures of the page, at most ``MAX_STRUCTURES`` of all."""
    if number <= MAX_STRUCTURES:
        return np.arange(number)
    even = np.linspace(0, number - 1, MAX_STRUCTURES - len(linked)).round()
    return np.union1d(even.astype(int), np.array(linked, dtype=int))


def _thinned(evaluation: Evaluation, kept: np.ndarray) -> Evaluation:
    """Some of the structures, renumbered.

    :param evaluation: predictions and references.
    :param kept: the numbers of the structures, sorted.
    """
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
            values = {"RMSE": rmse_of_structures(blocks, len(frames))}
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
