"""Cartesian tensors as sums of irreducible spherical ones."""

from typing import Dict, List, Optional, Tuple

import torch

from .clebsch_gordan import clebsch_gordan
from .components import on_cpu
from .irreps import Irrep


@on_cpu
def cartesian_irreps(
    rank: int, symmetry: Optional[str] = None
) -> Tuple[List[Irrep], torch.Tensor]:
    r"""Decompose the Cartesian tensors of a rank into irreducible spherical tensors.

    The indices are coupled one after the other,
    :math:`(((1 \otimes 1) \otimes 1) \otimes \ldots)`. A Cartesian tensor changes by
    :math:`(-1)^\mathrm{rank}` under inversion, so its part of angular order
    :math:`\lambda` has :math:`\sigma = (-1)^{\mathrm{rank} - \lambda}`: rank 2 gives
    (0, +1), (1, -1), (2, +1), the trace, the antisymmetric and the traceless symmetric
    part.

    Exchanges of indices commute with rotations: they mix irreps of the same λ with each
    other only, and what they leave unchanged are combinations of these. ``ij=ji``
    leaves (0, +1) and (2, +1) of rank 2.

    :param rank: number of Cartesian indices, at least 1.
    :param symmetry: exchanges of indices under which the tensors do not change, as
        :func:`index_permutations` reads them; ``None`` for no symmetry.
    :return: the irreps, with repetitions, and the orthogonal float64 matrix from their
        stacked components to the Cartesian ones in the order ``x, y, z``:
        ``(Σ (2λ + 1), 3, ..., 3)`` with ``rank`` axes of length 3.
    :raises ValueError: as :func:`index_permutations`.
    """
    permutations = [] if symmetry is None else index_permutations(symmetry, rank)
    irreps: List[Irrep] = []
    rows: List[torch.Tensor] = []
    for o3_lambda, copies in _coupled_indices(rank).items():
        if permutations:
            exchanged = sum(
                copies.permute(0, 1, *[2 + axis for axis in permutation])
                for permutation in permutations
            ) / len(permutations)
            # on the copies of the irrep a projector, the same for all components
            projector = torch.einsum("am...,bm...->ab", copies, exchanged)
            values, vectors = torch.linalg.eigh(projector / (2 * o3_lambda + 1))
            copies = torch.tensordot(vectors[:, values > 0.5].T, copies, dims=1)
        irreps += [Irrep(o3_lambda, (-1) ** (rank - o3_lambda))] * len(copies)
        rows.append(copies.flatten(0, 1))
    return irreps, torch.cat(rows)


def _coupled_indices(rank: int) -> Dict[int, torch.Tensor]:
    """All copies of the irreps of every λ: ``(copies, 2λ + 1, 3, ..., 3)``."""
    # T_i = Σ_m to_cartesian[m, i] v_m, with m = (y, z, x)
    to_cartesian = torch.eye(3, dtype=torch.float64)[[1, 2, 0]]
    blocks = [(1, to_cartesian)]  # (λ, (2λ + 1, 3, ..., 3))
    for _ in range(rank - 1):
        blocks = [
            (
                l3,
                torch.einsum(
                    "abm,a...,bi->m...i",
                    clebsch_gordan(l1, 1, l3),
                    block,
                    to_cartesian,
                ),
            )
            for l1, block in blocks
            for l3 in range(abs(l1 - 1), l1 + 2)
        ]
    copies: Dict[int, List[torch.Tensor]] = {}
    for o3_lambda, block in sorted(blocks, key=lambda item: item[0]):
        copies.setdefault(o3_lambda, []).append(block)
    return {
        o3_lambda: torch.stack(of_lambda) for o3_lambda, of_lambda in copies.items()
    }


def index_permutations(symmetry: str, rank: int) -> List[Tuple[int, ...]]:
    """All exchanges of indices that follow from a few.

    :param symmetry: index lists that give the same component, such as ``ij=ji`` or
        ``ijkl=jikl=klij``.
    :param rank: number of indices.
    :return: the group of permutations, the identity among them.
    :raises ValueError: if the lists are not permutations of ``rank`` different letters.
    """
    names, *others = [part.strip() for part in symmetry.split("=")]
    if len(names) != rank or any(sorted(o) != sorted(set(names)) for o in others):
        raise ValueError(
            f"'{symmetry}' does not say how {rank} indices can be exchanged: write "
            f"lists of {rank} different letters, such as "
            f"'{'ijklmnop'[:rank]}={'ijklmnop'[1::-1] + 'ijklmnop'[2:rank]}'"
        )
    group = {tuple(range(rank))}
    while True:
        products = {
            tuple(permutation[names.index(index)] for index in other)
            for permutation in group
            for other in others
        }
        if products <= group:
            return sorted(group)
        group |= products


@on_cpu
def isotropic_tensors(rank: int) -> torch.Tensor:
    r"""The Cartesian tensors of a rank that no rotation or reflection changes.

    Products of Kronecker deltas, one for every way to pair the indices: for rank 4
    :math:`\delta_{ij} \delta_{kl}`, :math:`\delta_{ik} \delta_{jl}` and
    :math:`\delta_{il} \delta_{jk}`. From rank 8 on they are linearly dependent.

    :param rank: number of Cartesian indices, even.
    :return: the tensors in float64, ``(tensors, 3, ..., 3)`` with ``rank`` axes of
        length 3.
    """
    deltas = torch.ones((), dtype=torch.float64)
    for _ in range(rank // 2):
        deltas = torch.tensordot(deltas, torch.eye(3, dtype=torch.float64), dims=0)
    # δ_ij δ_kl ... has the pairs (0, 1), (2, 3), ...: its axes go to all other pairs
    return torch.stack(
        [
            deltas.movedim(list(range(rank)), pairing)
            for pairing in _pairings(list(range(rank)))
        ]
    )


def _pairings(indices: List[int]) -> List[List[int]]:
    """All ways to pair the indices, as lists in which partners are neighbors."""
    if len(indices) == 0:
        return [[]]
    first, *others = indices
    return [
        [first, partner, *rest]
        for partner in others
        for rest in _pairings([i for i in others if i != partner])
    ]
