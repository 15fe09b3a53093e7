r"""Products of functions on the sphere from their coefficients, in two representations.

The coefficients of :math:`f = \sum_{lm} f_{lm} Y_{lm}` are a spherical tensor for each
``l``. Both modules take the outer product of the coefficients of two functions, or a
sum of such outer products, and return the coefficients of the product,

.. math::
    (f g)_{LM} = \sum_{lm, l'm'} f_{lm} \, g_{l'm'}
        \int Y_{lm} Y_{l'm'} Y_{LM} \, \mathrm{d}\hat r.

``SphericalGaunt`` multiplies with the matrix of these integrals. ``CartesianGaunt``
contracts indices of irreducible Cartesian tensors instead, as do Zaverkin et al.,
`arXiv:2405.14253 <https://arxiv.org/abs/2405.14253>`_. The results are the same;
``docs/performance.md`` compares their speed.
"""

import math
from typing import List

import torch

from .clebsch_gordan import clebsch_gordan
from .components import on_cpu
from .irreducible import coupling_constant, spherical_from_irreducible


def _gaunt_factor(l1: int, l2: int, l3: int) -> float:
    """The ratio of the Gaunt to the Clebsch–Gordan coefficients."""
    squared = (2 * l1 + 1) * (2 * l2 + 1) / (4 * math.pi * (2 * l3 + 1))
    return math.sqrt(squared) * clebsch_gordan(l1, l2, l3)[l1, l2, l3].item()


def _couplings(max_first: int, max_second: int, l3: int) -> List[tuple[int, int]]:
    """Ranks of two factors with a product of rank ``l3``."""
    return [
        (l1, l2)
        for l1 in range(max_first + 1)
        for l2 in range(max_second + 1)
        if abs(l1 - l2) <= l3 <= l1 + l2 and (l1 + l2 + l3) % 2 == 0
    ]


class SphericalGaunt(torch.nn.Module):
    """The product of functions, by one multiplication with the Gaunt coefficients.

    :param max_first: largest ``l`` of the first factor.
    :param max_second: largest ``l`` of the second factor.
    :param max_rank: largest ``l`` of the product.
    """

    coefficients: torch.Tensor  # (l · m · l' · m', L · M)

    @on_cpu
    def __init__(self, max_first: int, max_second: int, max_rank: int) -> None:
        super().__init__()
        sizes = [(l + 1) ** 2 for l in (max_first, max_second, max_rank)]
        coefficients = torch.zeros(sizes, dtype=torch.float64)
        largest = max(max_first, max_second, max_rank)
        place = [slice(l * l, (l + 1) * (l + 1)) for l in range(largest + 1)]
        for l3 in range(max_rank + 1):
            for l1, l2 in _couplings(max_first, max_second, l3):
                coefficients[place[l1], place[l2], place[l3]] = _gaunt_factor(
                    l1, l2, l3
                ) * clebsch_gordan(l1, l2, l3)
        self.register_buffer("coefficients", coefficients.flatten(0, 1), False)

    def forward(self, outer: torch.Tensor) -> torch.Tensor:
        """Couple outer products of spherical tensors.

        :param outer: ``(atoms, channels, l · m, l' · m')``
        :return: ``(atoms, channels, (max_rank + 1)²)``
        """
        return outer.flatten(2) @ self.coefficients


class CartesianGaunt(torch.nn.Module):
    r"""The product of functions, by contractions of irreducible Cartesian tensors.

    .. math::
        (f g)_L = \sum_{l l'} w_{l l' L} \, Q_L \left( f_l \cdot^k g_{l'} \right),
            \qquad k = (l + l' - L) / 2

    where the change of basis :math:`Q` of ``spherical_from_irreducible`` takes the
    irreducible part of the contraction, and the weights are Gaunt coefficients divided
    by the ``coupling_constant``.

    :param max_first: largest ``l`` of the first factor.
    :param max_second: largest ``l`` of the second factor.
    :param max_rank: largest ``l`` of the product.
    """

    basis: torch.Tensor  # (L · M, components), the 1 + 3 + 9 + ... of all ranks
    first: torch.Tensor  # (l · m, components of the first factor)
    second: torch.Tensor  # (l' · m', components of the second factor)
    # for each contraction: L, weight, slices of the factors, 3^free and 3^contracted
    ranks: List[int]
    weights: List[float]
    slices: List[List[int]]
    shapes: List[List[int]]

    @on_cpu
    def __init__(self, max_first: int, max_second: int, max_rank: int) -> None:
        super().__init__()
        self.max_rank = max_rank
        largest = max(max_first, max_second, max_rank)
        changes = [spherical_from_irreducible(l) for l in range(largest + 1)]
        ranks = {"basis": max_rank, "first": max_first, "second": max_second}
        for name, rank in ranks.items():
            change = torch.block_diag(*changes[: rank + 1])
            self.register_buffer(name, change, persistent=False)
        self.ranks, self.weights, self.slices, self.shapes = [], [], [], []
        start = [sum(3**m for m in range(l)) for l in range(largest + 1)]
        for l3 in range(max_rank + 1):
            for l1, l2 in _couplings(max_first, max_second, l3):
                contracted = (l1 + l2 - l3) // 2
                free = [l1 - contracted, l2 - contracted]
                self.ranks.append(l3)
                self.weights.append(
                    _gaunt_factor(l1, l2, l3) / coupling_constant(l1, l2, l3)
                )
                self.slices.append([start[l1], 3**l1, start[l2], 3**l2])
                self.shapes.append([3 ** free[0], 3**contracted, 3 ** free[1]])

    def forward(self, outer: torch.Tensor) -> torch.Tensor:
        """Couple outer products of spherical tensors.

        :param outer: ``(atoms, channels, l · m, l' · m')``
        :return: ``(atoms, channels, (max_rank + 1)²)``
        """
        outer = self.first.T @ outer @ self.second  # of Cartesian components
        atoms, channels = outer.shape[0], outer.shape[1]
        parts: List[torch.Tensor] = []
        for l in range(self.max_rank + 1):
            parts.append(outer.new_zeros([atoms, channels, int(3**l)]))
        for i, l in enumerate(self.ranks):
            first, first_length, second, second_length = self.slices[i]
            free, contracted, other_free = self.shapes[i]
            product = outer.narrow(2, first, first_length)
            product = product.narrow(3, second, second_length)
            product = product.reshape(
                atoms, channels, free, contracted, contracted, other_free
            )
            trace = product.diagonal(dim1=3, dim2=4).sum(-1).flatten(2)
            parts[l] = parts[l] + self.weights[i] * trace  # (atoms, channels, 3^l)
        return torch.cat(parts, dim=2) @ self.basis.T
