"""The part of scalars that is linear in the invariants."""

import torch

from .members import Members


class LinearTerm(torch.nn.Module):
    r"""Scalars that are linear in the invariants, with weights for every center type.

    .. math::
        y_i = n^{-1/2} \, w_{q_i} \cdot p_i

    with :math:`n` normalised invariants :math:`p`. The weights are zero at first.
    This is the linear SOAP model, which has many more weights in its last layer than
    the network and is the better one where there are few data.

    :param num_types: number of center types.
    :param num_inputs: number of invariants.
    :param num_outputs: number of scalars.
    """

    def __init__(self, num_types: int, num_inputs: int, num_outputs: int) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(
            torch.zeros(num_types, num_outputs, num_inputs)
        )
        self.members = Members(list(self.weight.shape))
        self.factor = num_inputs**-0.5

    def forward(
        self, invariants: torch.Tensor, types: torch.Tensor, member: int = -1
    ) -> torch.Tensor:
        """Evaluate the term.

        :param invariants: with a variance of one for every center, ``(centers, n)``
        :param types: index of the type of every center, ``(centers,)``
        :param member: as in :meth:`Members.forward`.
        :return: ``(centers, num_outputs)``
        """
        weight = self.members(self.weight, member)
        num_types, num_outputs, _ = weight.shape
        of_types = invariants @ (self.factor * weight).flatten(0, 1).T
        of_types = of_types.reshape(-1, num_types, num_outputs)
        centers = torch.arange(len(types), device=types.device)
        return of_types[centers, types]

    @torch.jit.unused
    def columns_of_type(self, invariants: torch.Tensor) -> torch.Tensor:
        """What the weights of the centers' type are multiplied with."""
        return self.factor * invariants

    @torch.jit.unused
    def columns(self, invariants: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
        """What all weights are multiplied with, ``(centers, num_types · num_inputs)``.

        :param invariants: with a variance of one for every center, ``(centers, n)``
        :param types: index of the type of every center, ``(centers,)``
        """
        num_types = self.weight.shape[0]
        is_type = torch.nn.functional.one_hot(types, num_types).to(invariants)
        columns = self.columns_of_type(invariants)
        return torch.einsum("iq,in->iqn", is_type, columns).flatten(1)

    @torch.jit.unused
    def add_types(self, num_types: int, known: torch.Tensor) -> None:
        """Add center types; ``known`` has the positions of the known ones among all."""
        weight = self.weight.new_zeros((num_types, *self.weight.shape[1:]))
        weight[known] = self.weight.detach()
        self.weight = torch.nn.Parameter(weight)
        self.members = Members(list(weight.shape)).to(weight)
