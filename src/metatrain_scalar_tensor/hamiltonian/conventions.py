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
files have the order of OpenMX. They go up to f; higher shells follow the same rule.

::

    convention = Convention("FHI-aims", [[0, 0, 1], [0], [0]])  # shells of O, H and H
    matrix = convention.to_ours(matrix)
"""

from typing import Callable, Dict, List, Sequence, Tuple

import numpy as np


Shells = Sequence[Sequence[int]]


def _ascending(l: int) -> List[int]:
    """-l … l"""
    return list(range(-l, l + 1))


def _alternating(l: int) -> List[int]:
    """0, 1, -1, 2, -2, …"""
    return sorted(_ascending(l), key=lambda m: (abs(m), -m))


def _pyscf(l: int) -> List[int]:
    return [1, -1, 0] if l == 1 else _ascending(l)


def _openmx(l: int) -> List[int]:
    if l > 3:
        raise ValueError(f"OpenMX has shells up to l = 3, not {l}")
    return {1: [1, -1, 0], 2: [0, 2, -2, 1, -1]}.get(l, _alternating(l))


def _never(m: int) -> bool:
    return False


def _odd(m: int) -> bool:
    return m % 2 == 1


def _odd_and_positive(m: int) -> bool:
    return m % 2 == 1 and m > 0


# the orders m in a shell, and those with the opposite sign
_TABLE: Dict[str, Tuple[Callable[[int], List[int]], Callable[[int], bool]]] = {
    "ABACUS": (_alternating, _odd),
    "FHI-aims": (_ascending, _odd_and_positive),
    "OpenMX": (_openmx, _never),
    "PySCF": (_pyscf, _never),
    "SIESTA": (_ascending, _odd),
}
CODES = list(_TABLE)


class Convention:
    """The change between the orbitals of a code and those of :mod:`.matrices`.

    :param code: one of ``CODES``. DeepH's files have the order of OpenMX.
    :param shells: ``l`` of the shells of every atom, in the order of the code.
    :raises ValueError: for an unknown code, or if it has no shells of this ``l``.
    """

    def __init__(self, code: str, shells: Shells) -> None:
        if code not in _TABLE:
            raise ValueError(f"unknown code {code!r}: choose one of {', '.join(CODES)}")
        orders, is_opposite = _TABLE[code]
        order, signs, start = [], [], 0
        for of_atom in shells:
            starts = start + np.cumsum([0, *(2 * l + 1 for l in of_atom)])
            start = starts[-1]
            by_l = sorted(zip(of_atom, starts), key=lambda shell: shell[0])  # stable
            for l, first in by_l:
                within = orders(l)
                for m in range(-l, l + 1):
                    order.append(first + within.index(m))
                    signs.append(-1 if is_opposite(m) else 1)
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
