"""Tensors from maximally coupled products of two angular channels of the density."""

from typing import List

import torch

from ..o3 import CoupledProduct, Irrep
from .contraction import Contraction
from .products import Products


class MaximalPairs(torch.nn.Module):
    r"""Maximally coupled products of density channels.

    .. math::
        B_c^{\lambda} = [y_c^{l_1} \otimes z_c^{l_2}]_\lambda

    of learned channels ``y`` and ``z`` of the density, taken channel by channel:
    :math:`l_1 + l_2 = \lambda` for proper tensors and, with one extra vector product,
    :math:`l_1 + l_2 = \lambda + 1` for pseudotensors, so that no pseudoscalar is
    involved, which would vanish at every achiral site. These are the couplings of the
    theorem of Domina et al., `arXiv:2505.05404 <https://arxiv.org/abs/2505.05404>`_.
    ``l1 = 0`` is left out: its product is a scalar times a density channel, and scalars
    are what the coefficients are for.

    :param irrep: the symmetry (λ, σ).
    :param max_angular: largest angular channel of the density.
    :param num_inputs: number of channels of the density.
    :param num_channels: number of products for every pair ``l1 ≤ l2``.
    """

    def __init__(
        self, irrep: Irrep, max_angular: int, num_inputs: int, num_channels: int
    ) -> None:
        super().__init__()
        total = irrep.o3_lambda if irrep.o3_sigma == 1 else irrep.o3_lambda + 1
        self.first_ranks = [
            l1 for l1 in range(1, total // 2 + 1) if total - l1 <= max_angular
        ]
        self.total = total
        self.num_tensors = len(self.first_ranks) * num_channels
        self.y = torch.nn.ModuleList(
            Contraction(num_inputs, num_channels) for _ in self.first_ranks
        )
        self.z = torch.nn.ModuleList(
            Contraction(num_inputs, num_channels) for _ in self.first_ranks
        )
        self.couple = torch.nn.ModuleList(
            CoupledProduct(l1, total - l1, irrep.o3_lambda) for l1 in self.first_ranks
        )

    def forward(self, density: List[torch.Tensor], products: Products) -> torch.Tensor:
        """Build the tensors.

        :param density: for every ``l``, ``(atoms, 2l + 1, num_inputs)``
        :param products: not needed.
        :return: ``(atoms, 2λ + 1, num_tensors)``
        """
        tensors: List[torch.Tensor] = []
        for i, (y, z, couple) in enumerate(zip(self.y, self.z, self.couple)):
            l1 = self.first_ranks[i]
            tensors.append(couple(y(density[l1]), z(density[self.total - l1])))
        return torch.cat(tensors, dim=2)


class MaximalTriples(torch.nn.Module):
    r"""Triple products of learned vectors: pseudoscalars.

    :math:`[y_c^1 \otimes z_c^1]_1 \cdot w_c^1` with contractions of the l = 1 density.

    :param num_inputs: number of channels of the density.
    :param num_channels: number of products.
    """

    def __init__(self, num_inputs: int, num_channels: int) -> None:
        super().__init__()
        self.num_tensors = num_channels
        self.pseudovectors = MaximalPairs(Irrep(1, -1), 1, num_inputs, num_channels)
        self.w = Contraction(num_inputs, num_channels)

    def forward(self, density: List[torch.Tensor], products: Products) -> torch.Tensor:
        """Build the pseudoscalars.

        :param density: for every ``l``, ``(atoms, 2l + 1, num_inputs)``
        :param products: not needed.
        :return: ``(atoms, 1, num_tensors)``
        """
        triples = self.pseudovectors(density, products) * self.w(density[1])
        return triples.sum(1, keepdim=True)
