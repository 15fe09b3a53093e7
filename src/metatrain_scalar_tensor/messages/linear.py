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
        """Combine channels.

        :param tensors: ``(l · m, atoms, num_inputs)``; the last ranks may be left out.
        :return: ``(l · m, atoms, num_outputs)``
        """
        return torch.bmm(tensors, self.matrices(tensors.shape[0]))

    @torch.jit.export
    def matrices(self, num_components: int) -> torch.Tensor:
        """The weights of some components: ``(l · m, num_inputs, num_outputs)``."""
        weights: List[torch.Tensor] = []
        for l, linear in enumerate(self.of_rank):
            if l * l < num_components:
                weight: torch.Tensor = linear.weight.T  # type: ignore[assignment]
                weights.append(weight.expand(2 * l + 1, -1, -1))
        return torch.cat(weights)
