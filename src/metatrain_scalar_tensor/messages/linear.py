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
        self.of_rank = torch.nn.ModuleList(
            Contraction(num_inputs, num_outputs) for _ in range(max_rank + 1)
        )

    def forward(self, tensors: torch.Tensor) -> torch.Tensor:
        """Combine channels: ``(atoms, l · m, num_inputs)`` to ``num_outputs``.

        The last ranks may be left out.
        """
        combined: List[torch.Tensor] = []
        for l, linear in enumerate(self.of_rank):
            if l * l < tensors.shape[1]:
                combined.append(linear(tensors[:, l * l : (l + 1) * (l + 1)]))
        return torch.cat(combined, dim=1)
