"""The orbitals of PySCF's molecules and cells, in the order of this package.

The functions only read PySCF's objects: it need not be installed.
"""

from typing import Any, Dict, List, Tuple

import numpy as np


def atomic_types(mol: Any) -> List[int]:
    """Atomic numbers of PySCF's molecule or cell, also with core potentials."""
    return [mol.atom_charge(i) + mol.atom_nelec_core(i) for i in range(mol.natm)]


def _shells(mol: Any) -> List[List[Tuple[int, int]]]:
    """Shells of each atom in PySCF's order: ``l`` and index of the first orbital.

    A general contraction counts as several shells.
    """
    if mol.cart:
        raise ValueError(
            "Cartesian orbitals are no irreps: build the molecule with 'cart=False'"
        )
    shells: List[List[Tuple[int, int]]] = [[] for _ in range(mol.natm)]
    start = 0
    for i in range(mol.nbas):
        l = int(mol.bas_angular(i))
        for _ in range(mol.bas_nctr(i)):
            shells[mol.bas_atom(i)].append((l, start))
            start += 2 * l + 1
    return shells


def atomic_basis(mol: Any) -> Dict[int, List[Dict[str, int]]]:
    """The shells of each atom type.

    :param mol: PySCF's ``Mole`` or ``Cell``.
    :return: irreps for each atomic number, for ``irreps`` in the options; use ``|`` to
        merge those of several molecules in the same basis set.
    :raises ValueError: for Cartesian orbitals, or if atoms of one type differ.
    """
    basis: Dict[int, List[Dict[str, int]]] = {}
    for atom_type, shells in zip(atomic_types(mol), _shells(mol), strict=True):
        ls = [l for l, _ in shells]
        irreps = [
            {"o3_lambda": l, "o3_sigma": 1, "num": ls.count(l)} for l in sorted(set(ls))
        ]
        if basis.setdefault(atom_type, irreps) != irreps:
            raise ValueError(f"atoms of type {atom_type} have different orbitals")
    return dict(sorted(basis.items()))


def orbital_order(mol: Any) -> np.ndarray:
    """The permutation from PySCF's order of orbitals to that of this package.

    PySCF has ``l = 1`` as x, y, z, and the shells of an atom in any order; signs agree.

    :param mol: PySCF's ``Mole`` or ``Cell``.
    :return: ``(orbitals,)``: matrices of PySCF become ``matrix[np.ix_(order, order)]``,
        and orbital coefficients ``coefficients[order]``. ``np.argsort(order)`` is the
        inverse permutation.
    :raises ValueError: for Cartesian orbitals.
    """
    order: List[int] = []
    for shells in _shells(mol):
        for l, start in sorted(shells, key=lambda shell: shell[0]):  # keeps their order
            within = [1, 2, 0] if l == 1 else range(2 * l + 1)
            order += [start + m for m in within]
    return np.array(order, dtype=np.int64)
