"""Tensors from one angular channel of the density."""

from typing import List

import torch

from .contraction import Contraction
from .products import Products


class DensityBasis(torch.nn.Module):
    """Learned contractions of the l = λ density: proper tensors.

    The λ-density correction of Domina et al., `arXiv:2505.05404
    <https://arxiv.org/abs/2505.05404>`_.

    :param o3_lambda: rank of the tensors.
    :param num_inputs: number of channels of the density.
    :param num_channels: number of contractions.
    """

    max_rank = 0  # largest rank of the products that are needed

    def __init__(self, o3_lambda: int, num_inputs: int, num_channels: int) -> None:
        super().__init__()
        self.o3_lambda = o3_lambda
        self.num_tensors = num_channels
        self.contraction = Contraction(num_inputs, num_channels)

    def forward(self, density: List[torch.Tensor], products: Products) -> torch.Tensor:
        """Build the tensors, ``(atoms, 2λ + 1, num_tensors)``."""
        return self.contraction(density[self.o3_lambda])
