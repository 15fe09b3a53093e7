r"""Matrices between atomic orbitals, to metatrain's targets and back.

A matrix such as a Hamiltonian is split into two targets, the blocks within an atom
(``sample_kind: atom``) and between two atoms (``sample_kind: atom_pair``), both of
``type: {spherical: {product: cartesian, irreps: basis}}``. Conventions:

- A basis has the number of shells of each ``l`` for each atom type, as in metatrain's
  options: ``{8: [{o3_lambda: 0, o3_sigma: 1, num: 2}, ...]}``.
- Orbitals are ordered by atom, then ``l``, then shell ``n``, then ``m = -l
  ... l`` of the real spherical harmonics (``l = 1`` is y, z, x).
- :math:`H_{ij}(T)` is between atom ``i`` in the cell at the origin and atom ``j`` in
  the cell shifted by the integers ``T``: :math:`H_{ij}(T) = H_{ji}(-T)^T`. Molecules
  have ``T = (0, 0, 0)`` only.
- Values keep their unit.

With a molecule ``mol`` of PySCF, and :mod:`.orbitals`::

    basis, order = atomic_basis(mol), orbital_order(mol)
    fock = mean_field.get_fock()[np.ix_(order, order)]
    onsite, offsite = to_targets({(0, 0, 0): fock}, atomic_types(mol), basis)
"""

import itertools
import math
from typing import Any, Dict, List, Mapping, Sequence, Tuple

import torch
from metatensor.torch import Labels, TensorBlock, TensorMap


Basis = Mapping[int, Sequence[Mapping[str, int]]]
Shift = Tuple[int, int, int]
Matrices = Dict[Shift, torch.Tensor]

PAIR = ["first_atom", "second_atom", "cell_shift_a", "cell_shift_b", "cell_shift_c"]
HOME = (0, 0, 0)  # the cell at the origin


class _Orbitals:
    """Positions of the orbitals of a structure in its matrices.

    :raises ValueError: if the basis lacks a type, or has an ``l`` twice.
    """

    def __init__(self, types: Sequence[int], basis: Basis) -> None:
        lacking = sorted(set(types).difference(basis))
        if lacking:
            raise ValueError(f"the basis has no orbitals of atoms of types {lacking}")
        self.types = torch.tensor(types)
        self.of_type: Dict[int, Dict[int, torch.Tensor]] = {}  # type, l -> (n, m)
        sizes: Dict[int, int] = {}
        for atom_type, irreps in basis.items():
            of_l, size = self.of_type.setdefault(atom_type, {}), 0
            for irrep in sorted(irreps, key=lambda irrep: irrep["o3_lambda"]):
                l, num = irrep["o3_lambda"], irrep.get("num", 1)
                if l in of_l or irrep["o3_sigma"] != 1:
                    raise ValueError(
                        f"irreps of type {atom_type}: give every l once, with its "
                        "number of shells as 'num', and 'o3_sigma: 1'"
                    )
                of_l[l] = size + torch.arange(num * (2 * l + 1)).reshape(num, -1)
                size += of_l[l].numel()
            sizes[atom_type] = size
        ends = torch.tensor([sizes[t] for t in types]).cumsum(0)
        self.start = torch.cat([torch.tensor([0]), ends[:-1]])  # (atoms,)
        self.count = int(ends[-1])

    def block(
        self, pairs: torch.Tensor, t1: int, l1: int, t2: int, l2: int
    ) -> Tuple[torch.Tensor, torch.Tensor]:
        """Rows and columns of the blocks of pairs of types ``t1`` and ``t2``.

        :param pairs: first and second atoms, ``(pairs, 2)``
        :return: indices that broadcast to ``(pairs, n_1, m_1, n_2, m_2)``
        """
        start = self.start[pairs][:, :, None, None]
        rows, columns = self.of_type[t1][l1], self.of_type[t2][l2]  # (n, m)
        i, j = start[:, 0] + rows, start[:, 1] + columns  # (pairs, n, m)
        return i[:, :, :, None, None], j[:, None, None, :, :]


def _target(
    matrices: torch.Tensor,
    orbitals: _Orbitals,
    pairs: torch.Tensor,
    samples: Labels,
    types: List[Tuple[int, int]],
    type_names: List[str],
) -> TensorMap:
    """Collect the blocks of all irreps, including types that do not occur.

    :param matrices: matrices of all shifts, ``(shifts, orbitals, orbitals)``
    :param orbitals: positions of the orbitals.
    :param pairs: shift, first and second atom of each sample, ``(samples, 3)``
    :param samples: labels of the samples.
    :param types: types of the first and second atoms.
    :param type_names: names of the types in the keys, of both atoms or of the first.
    """
    keys, blocks = [], []
    types_of_pairs = orbitals.types[pairs[:, 1:]]
    for t1, t2 in types:
        rows = torch.where((types_of_pairs == torch.tensor([t1, t2])).all(1))[0]
        shifts = pairs[rows, 0].reshape(-1, 1, 1, 1, 1)
        for l1, l2 in itertools.product(orbitals.of_type[t1], orbitals.of_type[t2]):
            i, j = orbitals.block(pairs[rows, 1:], t1, l1, t2, l2)
            values = matrices[shifts, i, j]  # (samples, n_1, m_1, n_2, m_2)
            n = [torch.arange(values.shape[axis]) for axis in (1, 3)]
            m = [torch.arange(-l, l + 1).reshape(-1, 1) for l in (l1, l2)]
            block = TensorBlock(
                values.permute(0, 2, 4, 1, 3).flatten(3).contiguous(),
                Labels(samples.names, samples.values[rows]),
                [Labels(["o3_mu_1"], m[0]), Labels(["o3_mu_2"], m[1])],
                Labels(["n_1", "n_2"], torch.cartesian_prod(*n)),
            )
            blocks.append(block)
            keys.append([l1, l2, 1, 1, t1, t2][: 4 + len(type_names)])
    names = ["o3_lambda_1", "o3_lambda_2", "o3_sigma_1", "o3_sigma_2", *type_names]
    return TensorMap(Labels(names, torch.tensor(keys)), blocks)


def to_targets(
    matrices: Mapping[Shift, Any], types: Sequence[int], basis: Basis
) -> Tuple[TensorMap, TensorMap]:
    """Split a matrix into targets.

    :param matrices: :math:`H(T)` of every cell shift, ``(orbitals, orbitals)``, real.
    :param types: atomic numbers, ``(atoms,)``
    :param basis: orbitals of every type.
    :return: blocks of atoms and of pairs of atoms, with pairs in both orders, as system
        0 in float64: for each combination of ``l``, ``(samples, m_1, m_2, n_1 · n_2)``
    :raises ValueError: if a matrix has the wrong shape or is complex, if a type has no
        orbitals, or if the matrix of a shift or of its opposite is missing.
    """
    orbitals = _Orbitals(types, basis)
    for shift in (HOME, *matrices):
        a, b, c = shift
        if shift not in matrices or (-a, -b, -c) not in matrices:
            raise ValueError(f"the matrix of {shift} or of its opposite is missing")
        matrix = torch.as_tensor(matrices[shift])
        if matrix.shape != (orbitals.count, orbitals.count) or matrix.is_complex():
            raise ValueError(
                f"the matrix of {shift} has shape {tuple(matrix.shape)} and "
                f"{matrix.dtype}: it must be real, with {orbitals.count} orbitals"
            )
    stacked = [torch.as_tensor(m, dtype=torch.float64) for m in matrices.values()]
    atoms = torch.arange(len(types))
    pairs = torch.cartesian_prod(torch.arange(len(matrices)), atoms, atoms)
    shifts = torch.tensor(list(matrices))[pairs[:, 0]]
    is_atom = (pairs[:, 1] == pairs[:, 2]) & (shifts == 0).all(1)
    of_pairs = torch.cat([0 * pairs[:, :1], pairs[:, 1:], shifts], dim=1)[~is_atom]
    onsite = _target(
        torch.stack(stacked),
        orbitals,
        pairs[is_atom],
        Labels(["system", "atom"], torch.stack([0 * atoms, atoms], dim=1)),
        [(t, t) for t in basis],
        ["atom_type"],
    )
    offsite = _target(
        torch.stack(stacked),
        orbitals,
        pairs[~is_atom],
        Labels(["system", *PAIR], of_pairs),
        [(t1, t2) for t1 in basis for t2 in basis],
        ["first_atom_type", "second_atom_type"],
    )
    return onsite, offsite


def near_pairs(
    offsite: TensorMap, positions: Any, cell: Any, cutoff: float
) -> TensorMap:
    """Remove the pairs of atoms that are further apart than a cutoff.

    :param offsite: blocks of pairs of one structure.
    :param positions: ``(atoms, 3)``
    :param cell: cell vectors as rows, zero for a molecule, ``(3, 3)``
    :param cutoff: the cutoff, in the unit of the positions.
    """
    positions = torch.as_tensor(positions, dtype=torch.float64)
    cell = torch.as_tensor(cell, dtype=torch.float64)
    blocks = []
    for block in offsite.blocks():
        first, second = (block.samples.column(name).long() for name in PAIR[:2])
        shifts = block.samples.values[:, 3:].to(torch.float64)
        vectors = positions[second] - positions[first] + shifts @ cell
        rows = torch.where(vectors.norm(dim=1) <= cutoff)[0]
        samples = Labels(block.samples.names, block.samples.values[rows])
        blocks.append(
            TensorBlock(block.values[rows], samples, block.components, block.properties)
        )
    return TensorMap(offsite.keys, blocks)


def _basis(onsite: TensorMap) -> Dict[int, List[Dict[str, int]]]:
    """The basis, from the keys of the blocks."""
    basis: Dict[int, List[Dict[str, int]]] = {}
    for key, block in onsite.items():
        l, num = int(key["o3_lambda_1"]), math.isqrt(len(block.properties))
        if l == int(key["o3_lambda_2"]):
            irrep = {"o3_lambda": l, "o3_sigma": 1, "num": num}
            basis.setdefault(int(key["atom_type"]), []).append(irrep)
    return basis


def to_matrices(
    onsite: TensorMap, offsite: TensorMap, types: Sequence[int]
) -> Matrices:
    """Assemble a matrix from targets: the inverse of :func:`to_targets`.

    :param onsite: blocks of the atoms of one structure.
    :param offsite: blocks of its pairs of atoms; missing pairs are zero.
    :param types: atomic numbers, ``(atoms,)``
    :return: matrices of all cell shifts that occur, ``(orbitals, orbitals)``, as
        differentiable functions of the blocks.
    :raises ValueError: if there are several structures, or a type has no orbitals.
    """
    orbitals = _Orbitals(types, _basis(onsite))
    shape = (orbitals.count, orbitals.count)
    matrices: Matrices = {}
    systems = set()
    for target in (onsite, offsite):
        for key, block in target.items():
            samples, values = block.samples.values.cpu().long(), block.values
            systems |= set(samples[:, 0].tolist())
            l1, l2, _, _, t1 = key.values.tolist()[:5]
            t2 = int(key.values[-1])
            atoms = samples[:, [1, 1]] if target is onsite else samples[:, 1:3]
            i, j = orbitals.block(atoms, t1, l1, t2, l2)
            values = values.unflatten(3, (i.shape[1], j.shape[3]))
            values = values.permute(0, 3, 1, 4, 2)  # (samples, n_1, m_1, n_2, m_2)
            shifts = samples[:, 3:] if target is offsite else 0 * samples[:, [0, 0, 0]]
            for shift in shifts.unique(dim=0):
                rows = torch.where((shifts == shift).all(1))[0]
                a, b, c = shift.tolist()
                matrix = matrices.setdefault((a, b, c), values.new_zeros(shape))
                matrix[i[rows], j[rows]] = values[rows]
    if len(systems) > 1:
        raise ValueError(f"give one structure, not {len(systems)}")
    return matrices


def bloch(matrices: Mapping[Shift, Any], k: Sequence[float]) -> torch.Tensor:
    r"""The matrix at a k-point, :math:`H(k) = \sum_T e^{2 \pi i k \cdot T} H(T)`.

    :param matrices: matrices of all cell shifts, ``(orbitals, orbitals)``
    :param k: the k-point in units of the reciprocal lattice vectors, ``(3,)``
    :return: complex matrix, Hermitian if :math:`H_{ij}(T) = H_{ji}(-T)^T`,
        ``(orbitals, orbitals)``
    """
    shifts = torch.tensor(list(matrices), dtype=torch.float64)  # (shifts, 3)
    angles = 2 * math.pi * shifts @ torch.as_tensor(k, dtype=torch.float64)
    phases = torch.polar(torch.ones_like(angles), angles)
    stacked = torch.stack([torch.as_tensor(m) for m in matrices.values()])
    return torch.einsum("t,tij->ij", phases, stacked.to(phases))
