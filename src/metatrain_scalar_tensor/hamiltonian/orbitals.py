"""The orbitals of molecules and cells of PySCF, in our order.

PySCF's objects are only looked at: it need not be installed.
"""

from typing import Any, Dict, List, Tuple

import numpy as np


def atomic_types(mol: Any) -> List[int]:
    """Atomic numbers of a molecule or cell of PySCF, also with core potentials."""
    return [mol.atom_charge(i) + mol.atom_nelec_core(i) for i in range(mol.natm)]


def _shells(mol: Any) -> List[List[Tuple[int, int]]]:
    """Of every atom its shells in PySCF's order: ``l`` and place of the first orbital.

    A general contraction is several shells.
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
    """The shells of every type of atom.

    :param mol: PySCF's ``Mole`` or ``Cell``.
    :return: irreps of every atomic number, for the options' ``irreps``; those of
        several molecules in one basis set are joined by ``|``.
    :raises ValueError: for Cartesian orbitals, or atoms of the same type that differ.
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
    """Where our orbitals are among PySCF's.

    PySCF has ``l = 1`` as x, y, z and shells of an atom in any order; signs agree.

    :param mol: PySCF's ``Mole`` or ``Cell``.
    :return: ``(orbitals,)``: a matrix of PySCF is ``matrix[np.ix_(order, order)]`` in
        our order, coefficients of its orbitals are ``coefficients[order]``.
        ``np.argsort(order)`` leads back.
    :raises ValueError: for Cartesian orbitals.
    """
    order: List[int] = []
    for shells in _shells(mol):
        for l, start in sorted(shells, key=lambda shell: shell[0]):  # keeps their order
            within = [1, 2, 0] if l == 1 else range(2 * l + 1)
            order += [start + m for m in within]
    return np.array(order, dtype=np.int64)
