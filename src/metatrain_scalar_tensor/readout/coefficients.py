"""The coefficients of the tensors, linear in the features of a center."""

from typing import List, Tuple

import torch

from ..structures.groups import group_by_type, in_order
from .members import Members


class Coefficients(torch.nn.Module):
    r"""The coefficients of all tensors of a target.

    .. math::
        c_i = W_{q_i} h_i

    with the features :math:`h` of a center. Targets on an atomic basis have weights for
    every type :math:`q`, those of pairs for every ordered pair of types, as the
    networks have: what is learned for one of them then does not depend on the others.

    :param num_kinds: number of kinds of centers that have weights of their own.
    :param num_features: number of features.
    :param sizes: for every irrep of the target, the number of its tensors and that of
        its properties.
    """

    def __init__(
        self, num_kinds: int, num_features: int, sizes: List[Tuple[int, int]]
    ) -> None:
        super().__init__()
        self.num_kinds = num_kinds
        self.sizes = sizes
        self.counts = [tensors * properties for tensors, properties in sizes]
        shape = (num_kinds * sum(self.counts), num_features)
        self.weight = torch.nn.Parameter(torch.empty(shape))
        for part, (num_tensors, _) in zip(self.parts(self.weight), sizes, strict=True):
            # makes the sum over the tensors as large as one of them
            bound = (num_features * num_tensors) ** -0.5
            torch.nn.init.uniform_(part, -bound, bound)
        self.members = Members(list(shape))

    def forward(
        self, features: torch.Tensor, kinds: torch.Tensor, member: int
    ) -> List[torch.Tensor]:
        """Compute the coefficients.

        :param features: inputs of the last layer, ``(centers, num_features)``
        :param kinds: index of the kind of every center, ``(centers,)``; not read if
            there is one kind.
        :param member: as in :meth:`Members.forward`.
        :return: for every irrep ``(centers, tensors · properties)``
        """
        weight = self.members(self.weight, member)
        if self.num_kinds == 1:
            return (features @ weight.T).split(self.counts, 1)
        groups = group_by_type(kinds, self.num_kinds)
        of_kinds = features.index_select(0, groups.order).split(groups.counts)
        parts: List[torch.Tensor] = []
        for h, w in zip(of_kinds, weight.chunk(self.num_kinds)):
            parts.append(h @ w.T)
        return in_order(parts, groups).split(self.counts, 1)

    @torch.jit.unused
    def parts(self, weight: torch.Tensor) -> List[torch.Tensor]:
        """Weights of every irrep, ``(num_kinds, tensors, properties, num_features)``.

        :param weight: the weights, or a member of the ensemble.
        """
        of_kinds = weight.unflatten(0, [self.num_kinds, -1]).split(self.counts, 1)
        return [
            part.unflatten(1, size)
            for part, size in zip(of_kinds, self.sizes, strict=True)
        ]
