"""The orbitals of PySCF's molecules and cells, in the order of this package.

The functions only read PySCF's objects: it need not be installed.
"""

from typing import Any, Dict, List

import numpy as np

from .conventions import Convention, basis_of_shells


def atomic_types(mol: Any) -> List[int]:
    """Atomic numbers of PySCF's molecule or cell, also with core potentials."""
    return [mol.atom_charge(i) + mol.atom_nelec_core(i) for i in range(mol.natm)]


def _shells(mol: Any) -> List[List[int]]:
    """``l`` of the shells of each atom; a general contraction counts as several."""
    if mol.cart:
        raise ValueError(
            "Cartesian orbitals are no irreps: build the molecule with 'cart=False'"
        )
    shells: List[List[int]] = [[] for _ in range(mol.natm)]
    for i in range(mol.nbas):
        shells[mol.bas_atom(i)] += mol.bas_nctr(i) * [int(mol.bas_angular(i))]
    return shells


def atomic_basis(mol: Any) -> Dict[int, List[Dict[str, int]]]:
    """The shells of each atom type.

    :param mol: PySCF's ``Mole`` or ``Cell``.
    :return: irreps for each atomic number, for ``irreps`` in the options; use ``|`` to
        merge those of several molecules in the same basis set.
    :raises ValueError: for Cartesian orbitals, or if atoms of one type differ.
    """
    return basis_of_shells(atomic_types(mol), _shells(mol))


def orbital_order(mol: Any) -> np.ndarray:
    """The permutation from PySCF's order of orbitals to that of this package.

    PySCF has ``l = 1`` as x, y, z, and the shells of an atom in any order; signs agree.

    :param mol: PySCF's ``Mole`` or ``Cell``.
    :return: ``(orbitals,)``: matrices of PySCF become ``matrix[np.ix_(order, order)]``,
        and orbital coefficients ``coefficients[order]``. ``np.argsort(order)`` is the
        inverse permutation.
    :raises ValueError: for Cartesian orbitals.
    """
    return Convention("PySCF", _shells(mol)).order
