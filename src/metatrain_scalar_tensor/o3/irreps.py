"""Irreducible representations of O(3), and the products of two of them."""

from typing import List, NamedTuple, Tuple

import torch

from .clebsch_gordan import clebsch_gordan


class Irrep(NamedTuple):
    """An irreducible representation of O(3)."""

    o3_lambda: int
    """Angular order ``λ``: the tensor has ``2λ + 1`` components."""
    o3_sigma: int
    """``+1`` for proper tensors, ``-1`` for pseudotensors."""


def product_irreps(first: Irrep, second: Irrep) -> Tuple[List[Irrep], torch.Tensor]:
    r"""Decompose the product of two irreducible tensors, such as a block of a matrix.

    .. math::
        [x \otimes y]_{m_1 m_2} = \sum_{\lambda \mu}
            \langle l_1 m_1 l_2 m_2 | \lambda \mu \rangle \, z_{\lambda \mu}

    with one :math:`z` for each :math:`\lambda` from :math:`|l_1 - l_2|` to
    :math:`l_1 + l_2`. Inversion changes it as it changes the product, since
    :math:`\sigma = \sigma_1 \sigma_2 (-1)^{l_1 + l_2 + \lambda}`.

    :param first: symmetry of the first index.
    :param second: symmetry of the second index.
    :return: the irreps, and the orthogonal float64 matrix from the components of the
        product to the stacked ones of the irreps, ``(Σ (2λ + 1), 2 l1 + 1, 2 l2 + 1)``
    """
    l1, l2 = first.o3_lambda, second.o3_lambda
    irreps: List[Irrep] = []
    rows: List[torch.Tensor] = []
    for o3_lambda in range(abs(l1 - l2), l1 + l2 + 1):
        parity = (-1) ** (l1 + l2 + o3_lambda)
        irreps.append(Irrep(o3_lambda, first.o3_sigma * second.o3_sigma * parity))
        rows.append(clebsch_gordan(l1, l2, o3_lambda).permute(2, 0, 1))
    return irreps, torch.cat(rows)
