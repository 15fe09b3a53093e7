"""Draws of the last weights, whose predictions scatter as these are uncertain."""

from typing import Any, Dict, List

import torch


class Members(torch.nn.Module):
    """The members of an ensemble of weights: their differences from the weights.

    None at first. A loaded state may have any number of them.

    :param shape: shape of the weights.
    """

    differences: torch.Tensor  # (members, *shape)

    def __init__(self, shape: List[int]) -> None:
        super().__init__()
        self.register_buffer("differences", torch.zeros([0, *shape]))

    def forward(self, weight: torch.Tensor, member: int) -> torch.Tensor:
        """The difference of a member; of member -1, the weights themselves."""
        return weight if member < 0 else self.differences[member]

    @torch.jit.unused
    def reset(self, number: int) -> None:
        """Change the number of members, and forget the present ones.

        The new ones are NaN, for unknown.

        :param number: the number of members.
        """
        shape = [number, *self.differences.shape[1:]]
        self.differences = self.differences.new_full(shape, torch.nan)

    def _load_from_state_dict(
        self, state_dict: Dict[str, Any], prefix: str, *args: Any
    ) -> None:
        differences = state_dict.get(f"{prefix}differences")
        if differences is not None:
            self.reset(len(differences))
        super()._load_from_state_dict(state_dict, prefix, *args)
