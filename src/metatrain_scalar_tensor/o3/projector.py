r"""The projector onto symmetric traceless tensors.

A symmetric tensor corresponds to a polynomial
:math:`A(x) = A_{i_1 \ldots i_l} x_{i_1} \cdots x_{i_l}`. It is traceless if the
polynomial is harmonic, :math:`\Delta A = 0`.
"""

import itertools
import math
from functools import cache
from typing import List, Tuple

import numpy as np
import torch


def _double_factorial(n: int) -> int:
    """``n (n - 2) (n - 4) ...``, 1 for ``n <= 0``."""
    return math.prod(range(n, 0, -2))


def _monomials(degree: int) -> List[Tuple[int, int, int]]:
    """Exponents ``(a, b, c)`` of all monomials ``x^a y^b z^c`` of a degree."""
    return [
        (a, b, degree - a - b) for a in range(degree + 1) for b in range(degree + 1 - a)
    ]


def _laplacian_and_square(degree: int) -> Tuple[np.ndarray, np.ndarray]:
    """Matrices of ``Δ``, ``(lower, higher)``, and of ``x·x``, ``(higher, lower)``."""
    lower, higher = _monomials(degree - 2), _monomials(degree)
    laplacian = np.zeros((len(lower), len(higher)))
    square = np.zeros((len(higher), len(lower)))
    for i, (a, b, c) in enumerate(lower):
        for n, raised in ((a, (a + 2, b, c)), (b, (a, b + 2, c)), (c, (a, b, c + 2))):
            j = higher.index(raised)
            laplacian[i, j] = (n + 2) * (n + 1)
            square[j, i] = 1
    return laplacian, square


def _harmonic_part(degree: int) -> np.ndarray:
    """The map from polynomials to their harmonic parts, ``(monomials, monomials)``."""
    size = len(_monomials(degree))
    traces, deltas = np.eye(size), np.eye(size)  # Δ^m and (x·x)^m
    result = np.zeros((size, size))
    for m in range(degree // 2 + 1):
        denominator = _double_factorial(2 * m) * _double_factorial(2 * degree - 1)
        factor = (-1) ** m * _double_factorial(2 * degree - 2 * m - 1) / denominator
        result += factor * deltas @ traces
        if degree - 2 * m >= 2:
            laplacian, square = _laplacian_and_square(degree - 2 * m)
            traces, deltas = laplacian @ traces, deltas @ square
    return result


@cache
def _projector(rank: int) -> np.ndarray:
    monomials = _monomials(rank)
    indices = itertools.product(range(3), repeat=rank)
    # the monomial that x_i x_j ... is
    which = np.array(
        [monomials.index((i.count(0), i.count(1), i.count(2))) for i in indices]
    )
    # T_ij... = α!/l! times the coefficient of the monomial x^α
    shares = [math.prod(map(math.factorial, m)) for m in monomials]
    harmonic = np.array(shares)[:, None] / math.factorial(rank) * _harmonic_part(rank)
    return harmonic[which][:, which]


def irreducible_projector(rank: int) -> torch.Tensor:
    r"""The orthogonal projector onto symmetric traceless tensors.

    It symmetrises a tensor, and takes the harmonic part of its polynomial:

    .. math::
        P = \sum_{m=0}^{\lfloor l/2 \rfloor} (-1)^m
            \frac{(2l - 2m - 1)!!}{(2m)!! \, (2l - 1)!!} \, |x|^{2m} \Delta^m

    (Coope, Snider and McCourt, `JCP 43, 2269 (1965)
    <https://doi.org/10.1063/1.1697123>`_).

    :param rank: number of indices ``l``; the matrix takes ``8 · 9^l`` bytes.
    :return: float64 matrix, ``(3^l, 3^l)``
    """
    return torch.from_numpy(_projector(rank).copy())
