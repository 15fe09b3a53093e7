"""Linear combinations of channels, of each rank by itself."""

from typing import List

import torch

from ..basis.contraction import Contraction


class LinearOfRanks(torch.nn.Module):
    """Learned combinations of the channels of tensors, equal for all components.

    :param num_inputs: number of channels.
    :param num_outputs: number of combinations.
    :param max_rank: largest rank.
    """

    def __init__(self, num_inputs: int, num_outputs: int, max_rank: int) -> None:
        super().__init__()
        self.num_components = [2 * l + 1 for l in range(max_rank + 1)]
        self.of_rank = torch.nn.ModuleList(
            Contraction(num_inputs, num_outputs) for _ in self.num_components
        )

    def forward(self, tensors: torch.Tensor) -> torch.Tensor:
        """Combine channels: ``(atoms, l · m, num_inputs)`` to ``num_outputs``."""
        parts = tensors.split(self.num_components, 1)
        combined: List[torch.Tensor] = []
        for l, linear in enumerate(self.of_rank):
            combined.append(linear(parts[l]))
        return torch.cat(combined, dim=1)
