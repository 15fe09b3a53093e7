"""Tensors from the angular channels of the density."""

from typing import List

import torch

from ..o3 import CoupledProduct
from .contraction import Contraction


class ProperDensityBasis(torch.nn.Module):
    """Learned contractions of the l = λ density: proper tensors.

    The λ-density correction of Domina et al., `arXiv:2505.05404
    <https://arxiv.org/abs/2505.05404>`_.

    :param o3_lambda: rank of the tensors.
    :param num_types: number of center types.
    :param num_inputs: number of channels of the density.
    :param num_channels: number of contractions.
    """

    def __init__(
        self, o3_lambda: int, num_types: int, num_inputs: int, num_channels: int
    ) -> None:
        super().__init__()
        self.o3_lambda = o3_lambda
        self.num_tensors = num_channels
        self.contraction = Contraction(num_types, num_inputs, num_channels)

    def forward(
        self, density: List[torch.Tensor], center_type: torch.Tensor
    ) -> torch.Tensor:
        """Build the tensors.

        :param density: for every ``l``, ``(atoms, 2l + 1, num_inputs)``
        :param center_type: index of the type, ``(atoms,)``
        :return: ``(atoms, 2λ + 1, num_tensors)``
        """
        return self.contraction(density[self.o3_lambda], center_type)


class PseudoDensityBasis(torch.nn.Module):
    """Odd couplings of the density channels: pseudotensors of rank λ ≥ 1.

    ``[x^{l1} ⊗ y^{l2}]_λ`` with ``l1 + l2 = λ + 1``, the maximal coupling with one
    extra vector product, of contractions ``x`` and ``y`` taken channel by channel: the
    other parity of the theorem of Domina et al., `arXiv:2505.05404
    <https://arxiv.org/abs/2505.05404>`_. No pseudoscalar is involved, which would
    vanish at every achiral site.

    :param o3_lambda: rank of the pseudotensors, at least 1.
    :param max_angular: largest angular channel of the density.
    :param num_types: number of center types.
    :param num_inputs: number of channels of the density.
    :param num_channels: number of products for every pair ``(l1, l2)``.
    """

    def __init__(
        self,
        o3_lambda: int,
        max_angular: int,
        num_types: int,
        num_inputs: int,
        num_channels: int,
    ) -> None:
        super().__init__()
        self.ranks = [  # (l1, l2)
            (l1, o3_lambda + 1 - l1)
            for l1 in range(1, o3_lambda + 1)
            if l1 <= o3_lambda + 1 - l1 <= max_angular
        ]
        self.num_tensors = len(self.ranks) * num_channels
        self.x = torch.nn.ModuleList(
            Contraction(num_types, num_inputs, num_channels) for _ in self.ranks
        )
        self.y = torch.nn.ModuleList(
            Contraction(num_types, num_inputs, num_channels) for _ in self.ranks
        )
        self.couple = torch.nn.ModuleList(
            CoupledProduct(l1, l2, o3_lambda) for l1, l2 in self.ranks
        )

    def forward(
        self, density: List[torch.Tensor], center_type: torch.Tensor
    ) -> torch.Tensor:
        """Build the tensors.

        :param density: for every ``l``, ``(atoms, 2l + 1, num_inputs)``
        :param center_type: index of the type, ``(atoms,)``
        :return: ``(atoms, 2λ + 1, num_tensors)``
        """
        tensors: List[torch.Tensor] = []
        for i, (x, y, couple) in enumerate(zip(self.x, self.y, self.couple)):
            l1, l2 = self.ranks[i]
            tensors.append(
                couple(x(density[l1], center_type), y(density[l2], center_type))
            )
        return torch.cat(tensors, dim=2)


class PseudoscalarDensityBasis(torch.nn.Module):
    """Triple products of the density channels: pseudoscalars.

    The pseudotensors of every rank ``l`` of :class:`PseudoDensityBasis`, contracted
    with the density of the same rank: ``([x^{l1} ⊗ y^{l2}]_l · z^l)``.

    :param max_angular: largest angular channel of the density, at least 1.
    :param num_types: number of center types.
    :param num_inputs: number of channels of the density.
    :param num_channels: number of products for every triple ``(l1, l2, l)``.
    """

    def __init__(
        self, max_angular: int, num_types: int, num_inputs: int, num_channels: int
    ) -> None:
        super().__init__()
        pseudotensors = [
            PseudoDensityBasis(l, max_angular, num_types, num_inputs, num_channels)
            for l in range(1, max_angular + 1)
        ]
        self.pseudotensors = torch.nn.ModuleList(pseudotensors)
        self.z = torch.nn.ModuleList(
            Contraction(num_types, num_inputs, pseudo.num_tensors)
            for pseudo in pseudotensors
        )
        self.num_tensors = sum(pseudo.num_tensors for pseudo in pseudotensors)

    def forward(
        self, density: List[torch.Tensor], center_type: torch.Tensor
    ) -> torch.Tensor:
        """Build the pseudoscalars.

        :param density: for every ``l``, ``(atoms, 2l + 1, num_inputs)``
        :param center_type: index of the type, ``(atoms,)``
        :return: ``(atoms, 1, num_tensors)``
        """
        scalars: List[torch.Tensor] = []
        for i, (pseudo, z) in enumerate(zip(self.pseudotensors, self.z)):
            products = pseudo(density, center_type) * z(density[i + 1], center_type)
            scalars.append(products.sum(1, keepdim=True))
        return torch.cat(scalars, dim=2)
