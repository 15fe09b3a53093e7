"""Learned channels of the density."""

import math

import torch


class Contraction(torch.nn.Module):
    """Linear combinations of density channels, their weights own to a center type.

    :param num_types: number of center types.
    :param num_inputs: number of channels of the density.
    :param num_outputs: number of learned channels.
    """

    def __init__(self, num_types: int, num_inputs: int, num_outputs: int) -> None:
        super().__init__()
        self.weights = torch.nn.Parameter(
            torch.randn(num_types, num_inputs, num_outputs) / math.sqrt(num_inputs)
        )

    def forward(self, x: torch.Tensor, center_type: torch.Tensor) -> torch.Tensor:
        """Combine the channels.

        :param x: ``(atoms, 2l + 1, num_inputs)``
        :param center_type: index of the type, ``(atoms,)``
        :return: ``(atoms, 2l + 1, num_outputs)``
        """
        return x @ self.weights[center_type]
