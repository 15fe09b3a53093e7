"""Arrows and ellipsoids of tensors, in the form of chemiscope.

- Vectors, Cartesian or (1, ±1), are arrows.
- Cartesian tensors of rank 2, or (0, +1) and (2, +1) of one target together, are
  ellipsoids of their symmetric part, with the square roots of the eigenvalues as
  semiaxes. That of a negative eigenvalue is the root of its absolute value, and the
  ellipsoid has another color.

Both are to be seen where prediction and reference are alike: a reference is a thin
arrow, or three rings around an ellipsoid, within a wide or solid prediction that can be
looked through.

They are drawn at the atoms, or at the center of mass. Arrows that atoms would hide
start where these end. Of several properties the first is drawn.
"""

from dataclasses import dataclass
from typing import Any, Dict, List, Literal, Optional, Tuple

import numpy as np
from chemiscope import arrow_from_vector, ellipsoid_from_tensor

from ..o3 import cartesian_irreps
from .evaluation import Block, Evaluation, Place


Form = Literal["arrow", "ellipsoid"]

KINDS = ("reference", "predicted")
# Predictions can be looked through
COLORS = {"reference": "#4477aa", "predicted": "#ee7733e0"}
COLORS_IF_NEGATIVE = {"reference": "#aa3377", "predicted": "#ccbb44e0"}
ATOM = 0.4  # Å, about the radius of an atom on the page
# Lengths of arrows or semiaxes in radii of the structure, of which the page shows about
# 1.7, or of the atom: what half of them have at most, and what 5 % exceed
REACH: Dict[Tuple[Form, Place], Tuple[float, float]] = {
    ("arrow", "structure"): (1.25, 1.75),
    ("arrow", "atom"): (2.5, 6.0),
    ("ellipsoid", "structure"): (0.8, 1.1),
    ("ellipsoid", "atom"): (1.5, 2.5),
}
RADIUS = {"structure": 0.06, "atom": 0.08}  # of arrows, over the typical length
WIDTH = {"reference": 0.4, "predicted": 1.0}  # by which it is multiplied
RING = {"structure": 0.05, "atom": 0.03}  # Å, half the thickness of the line
SEGMENTS = {"structure": 24, "atom": 12}  # of a ring
INVISIBLE = 1e-6  # Å

Tensors = Dict[str, np.ndarray]  # of every kind, (structures | atoms, 3[, 3])


@dataclass
class Drawing:
    """The shapes of one target."""

    target: str
    form: Form
    place: Place
    scale: str
    """What 1 Å of the drawing is."""
    shapes: Dict[str, Dict[str, Any]]
    """Reference and prediction, in the form of chemiscope, by the names of the menu."""
    starts: np.ndarray
    """Where the shapes are, in Å: ``(structures | atoms, 3)``."""
    vectors: np.ndarray
    """Of arrows, in Å: ``(2, structures | atoms, 3)``; NaN where there is none."""


def drawings(evaluation: Evaluation) -> List[Drawing]:
    """The shapes of all vectors and tensors of rank 2.

    :param evaluation: predictions and references.
    :return: those of every target that can be drawn.
    """
    result: List[Drawing] = []
    for target in dict.fromkeys(block.target for block in evaluation.blocks):
        blocks = [block for block in evaluation.blocks if block.target == target]
        tensors = _drawable(evaluation, blocks)
        if tensors is None:
            continue
        place = blocks[0].place
        form: Form = "arrow" if tensors["reference"].ndim == 2 else "ellipsoid"
        radii = extents(evaluation, place)
        typical, largest = REACH[form, place]
        scale = _scale(tensors, radii, typical, largest)
        if scale is None:
            continue
        shapes: Dict[str, Dict[str, Any]] = {}
        starts = _centers(evaluation, place)
        vectors = np.empty((len(KINDS), 0, 3))
        if form == "arrow":
            vectors = scale * np.stack([tensors[kind] for kind in KINDS])
            starts = _off_atoms(evaluation, place, starts, vectors)
        for kind in KINDS:
            color, color_if_negative = COLORS[kind], COLORS_IF_NEGATIVE[kind]
            style: Dict[str, Any] = {"color": color}
            chemiscope_form: str = form
            if form == "arrow":
                length = typical * float(np.median(radii))
                style.update(_arrow_style(RADIUS[place] * WIDTH[kind] * length))
                drawn = _arrows(scale * tensors[kind])
            elif kind == "predicted":
                drawn = _ellipsoids(tensors[kind], scale, color_if_negative)
            else:
                chemiscope_form = "cylinders"
                style = {"colors": color, "radii": RING[place]}
                drawn = _rings(tensors[kind], scale, color_if_negative, SEGMENTS[place])
            for shape, start in zip(drawn, starts):
                shape["position"] = start.tolist()
            shapes[f"{target} {kind}"] = {
                "kind": chemiscope_form,
                "parameters": {"global": style, place: drawn},
            }
        unit, power = blocks[0].unit, 1 if form == "arrow" else 2
        length_unit = f"1 Å{'²' * (power == 2)}"
        text = f"{length_unit} is {scale**-power:.3g} {unit}".strip()
        result.append(Drawing(target, form, place, text, shapes, starts, vectors))
    return result


def _drawable(evaluation: Evaluation, blocks: List[Block]) -> Optional[Tensors]:
    """Vectors or symmetric tensors, NaN where there is none; ``None`` for others."""
    if blocks[0].place == "pair":
        return None
    result: Tensors = {}
    for kind in KINDS:
        parts: Dict[int, np.ndarray] = {}
        for block in blocks:
            rank = _rank(block)
            if rank is None:
                return None
            values = getattr(block, kind)[..., 0]
            rows, number = evaluation.rows(block)
            part = parts.setdefault(rank, np.full((number, *values.shape[1:]), np.nan))
            part[rows] = values
        tensors = _cartesian(parts, is_spherical="o3_lambda" in blocks[0].key)
        if tensors is None:
            return None
        result[kind] = tensors
    return result


def _rank(block: Block) -> Optional[int]:
    """The rank or λ of a block, if it can be part of what is drawn."""
    if "o3_lambda" in block.key:
        irrep = (block.key["o3_lambda"], block.key["o3_sigma"])
        return irrep[0] if irrep in [(0, 1), (1, 1), (1, -1), (2, 1)] else None
    is_matrix = "o3_lambda_1" in block.key
    rank = block.predicted.ndim - 2
    return rank if rank in (1, 2) and not is_matrix else None


def _cartesian(
    parts: Dict[int, np.ndarray], is_spherical: bool
) -> Optional[np.ndarray]:
    """The vectors, or the symmetric tensors, of parts of different ranks or λ."""
    if list(parts) == [1]:
        return parts[1][:, [2, 0, 1]] if is_spherical else parts[1]
    if not is_spherical:
        return 0.5 * (parts[2] + parts[2].swapaxes(1, 2))
    if not {0, 2} <= set(parts):
        return None
    _, basis = cartesian_irreps(2, "ij=ji")
    return np.einsum("nm,mij->nij", np.hstack([parts[0], parts[2]]), basis.numpy())


def extents(evaluation: Evaluation, place: Place) -> np.ndarray:
    """How far atoms reach from where the shapes are: ``(structures | atoms,)``."""
    if place == "atom":
        return np.full(sum(len(frame) for frame in evaluation.structures), ATOM)
    return np.array(
        [
            ATOM + np.linalg.norm(f.positions - f.get_center_of_mass(), axis=1).max()
            for f in evaluation.structures
        ]
    )


def _centers(evaluation: Evaluation, place: Place) -> np.ndarray:
    """Centers of mass, or positions of atoms: ``(structures | atoms, 3)``."""
    structures = evaluation.structures
    if place == "atom":
        return np.concatenate([structure.positions for structure in structures])
    return np.array([structure.get_center_of_mass() for structure in structures])


def _off_atoms(
    evaluation: Evaluation, place: Place, centers: np.ndarray, vectors: np.ndarray
) -> np.ndarray:
    """Where arrows start: in the centers, or beyond atoms that would hide half of one.

    Reference and prediction start at the same point, for comparison.

    :param centers: ``(structures | atoms, 3)``
    :param vectors: ``(2, structures | atoms, 3)``, in Å, as the result.
    """
    starts = centers.copy()
    hiding = [structure.positions for structure in evaluation.structures]
    if place == "atom":
        hiding = [position[None] for position in centers]
    for i, positions in enumerate(hiding):
        known = vectors[np.isfinite(vectors[:, i]).all(axis=1), i]  # (1 | 2, 3)
        direction = known.sum(axis=0)
        if np.linalg.norm(direction) < INVISIBLE:
            continue
        direction = direction / np.linalg.norm(direction)
        reach = ATOM + np.max((positions - centers[i]) @ direction)
        if np.linalg.norm(known, axis=1).min() < 2 * reach:
            starts[i] += reach * direction
    return starts


def _scale(
    tensors: Tensors, radii: np.ndarray, typical: float, largest: float
) -> Optional[float]:
    """Å per unit, one for all structures; ``None`` if there is nothing to be drawn."""
    sizes = np.array([_sizes(tensors[kind]) / radii for kind in KINDS])
    sizes = sizes[sizes > 0]  # without NaN
    if len(sizes) == 0:
        return None
    return float(min(typical / np.median(sizes), largest / np.quantile(sizes, 0.95)))


def _sizes(tensors: np.ndarray) -> np.ndarray:
    """Lengths of vectors, or longest semiaxes; NaN where there is none."""
    if tensors.ndim == 2:
        return np.linalg.norm(tensors, axis=1)
    known = np.isfinite(tensors).all(axis=(1, 2))
    sizes = np.full(len(tensors), np.nan)
    sizes[known] = np.sqrt(np.abs(np.linalg.eigvalsh(tensors[known])).max(axis=1))
    return sizes


def _arrow_style(radius: float) -> Dict[str, float]:
    style = arrow_from_vector([0.0, 0.0, 0.0], radius=radius)
    del style["vector"]
    return style


def _arrows(vectors: np.ndarray) -> List[Dict[str, Any]]:
    """Arrows; those of missing vectors, or without a direction, can't be seen."""
    invisible = {"vector": [0, 0, INVISIBLE], **_arrow_style(INVISIBLE)}
    return [
        {"vector": v.tolist()} if np.linalg.norm(v) > INVISIBLE else dict(invisible)
        for v in vectors
    ]


def _ellipsoids(
    tensors: np.ndarray, scale: float, color_if_negative: str
) -> List[Dict[str, Any]]:
    """Ellipsoids; those of missing tensors are too small to be seen."""
    result: List[Dict[str, Any]] = []
    for tensor in tensors:
        if not np.isfinite(tensor).all():
            result.append({"semiaxes": [INVISIBLE] * 3})
            continue
        shape = ellipsoid_from_tensor(tensor, scale=scale, force_positive=True)
        shape["semiaxes"] = [max(float(axis), INVISIBLE) for axis in shape["semiaxes"]]
        if np.linalg.eigvalsh(tensor).min() < 0:
            shape["color"] = color_if_negative
        result.append(shape)
    return result


def _rings(
    tensors: np.ndarray, scale: float, color_if_negative: str, segments: int
) -> List[Dict[str, Any]]:
    """The principal sections of ellipsoids, as cylinders."""
    nothing = {"bases": [[0, 0, 0]], "vectors": [[0, 0, INVISIBLE]], "radii": INVISIBLE}
    angles = np.linspace(0, 2 * np.pi, segments + 1)
    circle = np.stack([np.cos(angles), np.sin(angles)])
    result: List[Dict[str, Any]] = []
    for tensor in tensors:
        if not np.isfinite(tensor).all():
            result.append(dict(nothing))
            continue
        eigenvalues, axes = np.linalg.eigh(tensor)
        axes = scale * np.sqrt(np.abs(eigenvalues)) * axes
        points = np.stack([(axes[:, ij] @ circle).T for ij in ([0, 1], [1, 2], [2, 0])])
        bases = points[:, :-1].reshape(-1, 3)
        vectors = np.diff(points, axis=1).reshape(-1, 3)
        is_long = np.linalg.norm(vectors, axis=1) > 0.001  # has a direction, rounded
        shape: Dict[str, Any] = {
            "bases": bases[is_long].round(4).tolist(),
            "vectors": vectors[is_long].round(4).tolist(),
        }
        if eigenvalues[0] < 0:
            shape["colors"] = color_if_negative
        result.append(shape)
    return result
