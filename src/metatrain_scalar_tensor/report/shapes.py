"""Arrows and ellipsoids of tensors, in the form of chemiscope.

- Vectors, Cartesian or (1, ±1), are arrows.
- Cartesian tensors of rank 2, or (0, +1) and (2, +1) of one target together, are
  ellipsoids of their symmetric part, with the square roots of the eigenvalues as
  semiaxes. That of a negative eigenvalue is the root of its absolute value, and the
  ellipsoid has another color.

They are drawn at the atoms, or at the center of mass. Of several properties the first
is drawn.
"""

from typing import Any, Dict, List, Optional, Tuple

import numpy as np
from chemiscope import arrow_from_vector, ellipsoid_from_tensor

from ..o3 import cartesian_irreps
from .evaluation import Block, Evaluation


KINDS = ("reference", "predicted")
COLORS = {"reference": 0x4477AA, "predicted": 0xEE7733}
COLORS_IF_NEGATIVE = {"reference": 0xAA3377, "predicted": 0xCCBB44}
LARGEST = {  # Å, the longest arrow or semiaxis of all structures
    ("arrow", "structure"): 2.0,
    ("arrow", "atom"): 1.5,
    ("ellipsoid", "structure"): 1.2,
    ("ellipsoid", "atom"): 0.8,
}
RADIUS = {"structure": 0.1, "atom": 0.07}  # Å, of arrows
INVISIBLE = 1e-6  # Å

Tensors = Dict[str, np.ndarray]  # of every kind, (structures | atoms, 3[, 3])


def shapes(evaluation: Evaluation) -> Tuple[Dict[str, Any], Dict[str, str]]:
    """The shapes of all vectors and tensors of rank 2.

    :param evaluation: predictions and references.
    :return: chemiscope's description of every shape, and for every target that is drawn
        what 1 Å of the drawing is.
    """
    result: Dict[str, Any] = {}
    scales: Dict[str, str] = {}
    for target in dict.fromkeys(block.target for block in evaluation.blocks):
        blocks = [block for block in evaluation.blocks if block.target == target]
        tensors = _drawable(evaluation, blocks)
        largest = 0.0 if tensors is None else _largest(tensors)
        if tensors is None or largest == 0.0:
            continue
        where = "atom" if blocks[0].samples.shape[1] == 2 else "structure"
        form = "arrow" if tensors["reference"].ndim == 2 else "ellipsoid"
        scale = LARGEST[form, where] / largest
        unit, power = blocks[0].unit, 1 if form == "arrow" else 2
        scales[target] = (
            f"1 Å{'²' * (power == 2)} is {scale**-power:.3g} {unit}".strip()
        )
        for kind in KINDS:
            style: Dict[str, Any] = {"color": COLORS[kind]}
            if form == "arrow":
                style.update(_arrow_style(RADIUS[where]))
                drawn = _arrows(tensors[kind], scale)
            else:
                drawn = _ellipsoids(tensors[kind], scale, COLORS_IF_NEGATIVE[kind])
            if where == "structure":
                for shape, structure in zip(drawn, evaluation.structures):
                    shape["position"] = structure.get_center_of_mass().tolist()
            result[f"{target} {kind}"] = {
                "kind": form,
                "parameters": {"global": style, where: drawn},
            }
    return result, scales


def rows_of(evaluation: Evaluation, samples: np.ndarray) -> Tuple[np.ndarray, int]:
    """Where samples of structures or atoms are among all of them.

    :param evaluation: the structures.
    :param samples: structures, or structures and atoms: ``(samples, 1 | 2)``
    :return: the place of every sample, and the number of all structures or atoms.
    """
    if samples.shape[1] == 1:
        return samples[:, 0], len(evaluation.structures)
    sizes = [len(structure) for structure in evaluation.structures]
    first = np.cumsum([0, *sizes])
    return first[samples[:, 0]] + samples[:, 1], sum(sizes)


def _drawable(evaluation: Evaluation, blocks: List[Block]) -> Optional[Tensors]:
    """Vectors or symmetric tensors, NaN where there is none; ``None`` for others."""
    if blocks[0].samples.shape[1] > 2:  # of pairs
        return None
    result: Tensors = {}
    for kind in KINDS:
        parts: Dict[int, np.ndarray] = {}
        for block in blocks:
            rank = _rank(block)
            if rank is None:
                return None
            values = getattr(block, kind)[..., 0]
            rows, number = rows_of(evaluation, block.samples)
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


def _largest(tensors: Tensors) -> float:
    """The length of the longest vector, or the longest semiaxis; 0 without any."""
    values = np.concatenate([tensors[kind] for kind in KINDS])
    known = values[np.isfinite(values).reshape(len(values), -1).all(axis=1)]
    if len(known) == 0:
        return 0.0
    if known.ndim == 2:
        return float(np.linalg.norm(known, axis=1).max())
    return float(np.sqrt(np.abs(np.linalg.eigvalsh(known)).max()))


def _arrow_style(radius: float) -> Dict[str, float]:
    style = arrow_from_vector([0.0, 0.0, 0.0], radius=radius)
    del style["vector"]
    return style


def _arrows(vectors: np.ndarray, scale: float) -> List[Dict[str, Any]]:
    """Arrows; those of missing vectors have no length."""
    return [{"vector": (scale * vector).tolist()} for vector in np.nan_to_num(vectors)]


def _ellipsoids(
    tensors: np.ndarray, scale: float, color_if_negative: int
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
