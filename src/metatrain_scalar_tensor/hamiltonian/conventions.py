r"""Orders and signs of the orbitals of electronic-structure codes.

Within a shell, this package has the real spherical harmonics :math:`Y_l^m` with
:math:`m = -l \ldots l`, without Condon-Shortley phase: p is y, z, x, and d is xy, yz,
z², xz, x² - y². The others have the same functions in another order, some of them with
the opposite sign:

========  ===================================  ======================================
code      order                                opposite sign
========  ===================================  ======================================
PySCF     p is x, y, z; others m = -l … l      none
FHI-aims  m = -l … l                           odd m > 0
OpenMX    p is x, y, z; others m = 0, 2, -2,   none
          1, -1 for d and 0, 1, -1, 2, -2, 3,
          -3 for f
ABACUS    m = 0, 1, -1, 2, -2, …               odd m
SIESTA    m = -l … l                           odd m
========  ===================================  ======================================

Sources: for PySCF, its ``ao_labels``; for all others, the interfaces of `DeepH-pack
<https://github.com/mzjb/DeepH-pack>`_ to these codes (``deeph/preprocess``), whose own
files have the order of OpenMX.

::

    convention = Convention("FHI-aims", [[0, 0, 1], [0], [0]])  # shells of O, H and H
    matrix = convention.to_ours(matrix)
"""

from typing import Dict, List, Sequence

import numpy as np


Shells = Sequence[Sequence[int]]

CODES = ["ABACUS", "FHI-aims", "OpenMX", "PySCF", "SIESTA"]


def _orders(code: str, l: int) -> List[int]:
    """The orders m in a shell of a code."""
    ascending = list(range(-l, l + 1))
    alternating = sorted(ascending, key=lambda m: (abs(m), -m))  # 0, 1, -1, 2, -2, ...
    if code in ("FHI-aims", "SIESTA"):
        return ascending
    if code == "ABACUS":
        return alternating
    if code == "PySCF":
        return [1, -1, 0] if l == 1 else ascending
    if code == "OpenMX":
        if l > 3:
            raise ValueError(f"OpenMX has shells up to l = 3, not {l}")
        return {1: [1, -1, 0], 2: [0, 2, -2, 1, -1]}.get(l, alternating)
    raise ValueError(f"unknown code {code!r}: choose one of {', '.join(CODES)}")


def _sign(code: str, m: int) -> int:
    """The sign of an orbital of a code, relative to ours."""
    odd = m % 2 == 1
    opposite = {"ABACUS": odd, "FHI-aims": odd and m > 0, "SIESTA": odd}
    return -1 if opposite.get(code, False) else 1


class Convention:
    """The change between the orbitals of a code and those of :mod:`.matrices`.

    :param code: one of ``CODES``. DeepH's files have the order of OpenMX.
    :param shells: ``l`` of the shells of every atom, in the order of the code.
    :raises ValueError: for an unknown code, or if it has no shells of this ``l``.
    """

    def __init__(self, code: str, shells: Shells) -> None:
        order, signs, start = [], [], 0
        for of_atom in shells:
            starts = start + np.cumsum([0, *(2 * l + 1 for l in of_atom)])
            start = starts[-1]
            by_l = sorted(zip(of_atom, starts), key=lambda shell: shell[0])  # stable
            for l, first in by_l:
                within = _orders(code, l)
                for m in range(-l, l + 1):
                    order.append(first + within.index(m))
                    signs.append(_sign(code, m))
        self.order = np.array(order, dtype=np.int64)
        """Positions of our orbitals among those of the code, ``(orbitals,)``"""
        self.signs = np.array(signs)
        """Their signs, 1 or -1, ``(orbitals,)``"""

    def to_ours(self, matrix: np.ndarray) -> np.ndarray:
        """A matrix in the order of :mod:`.matrices`, ``(orbitals, orbitals)``.

        :param matrix: in the order of the code.
        :raises ValueError: if the shape of the matrix does not fit the shells.
        """
        self._check(matrix)
        return matrix[np.ix_(self.order, self.order)] * self._signs

    def from_ours(self, matrix: np.ndarray) -> np.ndarray:
        """The inverse of :meth:`to_ours`, with the same shapes and errors."""
        self._check(matrix)
        back = np.argsort(self.order)
        return (matrix * self._signs)[np.ix_(back, back)]

    @property
    def _signs(self) -> np.ndarray:
        """Signs of the elements, ``(orbitals, orbitals)``"""
        return np.outer(self.signs, self.signs)

    def _check(self, matrix: np.ndarray) -> None:
        size = len(self.order)
        if matrix.shape != (size, size):
            raise ValueError(
                f"the shells have {size} orbitals, the matrix has shape {matrix.shape}"
            )


def basis_of_shells(
    types: Sequence[int], shells: Shells
) -> Dict[int, List[Dict[str, int]]]:
    """The shells of each atom type, as ``irreps`` in the options.

    :param types: atomic numbers, ``(atoms,)``
    :param shells: ``l`` of the shells of every atom, in any order.
    :return: irreps for each atomic number; use ``|`` to merge those of several
        structures in the same basis set.
    :raises ValueError: if atoms of one type differ.
    """
    basis: Dict[int, List[Dict[str, int]]] = {}
    for atom_type, ls in zip(types, shells, strict=True):
        irreps = [
            {"o3_lambda": l, "o3_sigma": 1, "num": list(ls).count(l)}
            for l in sorted(set(ls))
        ]
        if basis.setdefault(atom_type, irreps) != irreps:
            raise ValueError(f"atoms of type {atom_type} have different orbitals")
    return dict(sorted(basis.items()))
