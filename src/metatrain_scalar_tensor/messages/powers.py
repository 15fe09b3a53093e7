"""Products of the tensors of an atom with themselves: its many-body tensors."""

from typing import List

import torch

from ..density.species import with_new_rows
from ..o3 import SphereGrid
from ..o3.components import on_first_components, ranks_of_components
from .linear import LinearOfRanks


# sizes of the products of one, two, three and four factors before training: where
# high orders are large, they add noise that training from few structures keeps
FIRST_SIZES = (0.5, 0.1, 0.02, 0.004)


class SpherePowers(torch.nn.Module):
    r"""Sums of products of up to ``order`` tensors, channel by channel.

    .. math::
        h_{k, LM} = \sum_{k'} U_{kk'}^L \sum_\nu w_{\nu k' L}^{(q)} \,
            \int f_{k'}^{(1)} \cdots f_{k'}^{(\nu)} \, Y_{LM} \, \mathrm{d}\hat r,
        \qquad f_k^{(p)} = \sum_{k' l m} V_{kk'}^{(p) l} A_{k', lm} Y_{lm}

    with weights :math:`w` for every center type :math:`q`: the product basis of
    Batatia et al., `arXiv:2206.07697 <https://arxiv.org/abs/2206.07697>`_, and the
    irreducible Cartesian products of Zaverkin et al., `arXiv:2405.14253
    <https://arxiv.org/abs/2405.14253>`_, with all couplings of even parity summed,
    which takes one product of functions on a grid.

    :param num_inputs: number of channels of the tensors.
    :param num_channels: number of channels of the products.
    :param max_angular: largest ``l`` of the tensors.
    :param max_rank: largest ``L`` of the products, at most ``max_angular``.
    :param order: largest number of factors.
    :param num_types: number of center types.
    """

    rank: torch.Tensor  # (L · M,), L of every component

    def __init__(
        self,
        num_inputs: int,
        num_channels: int,
        max_angular: int,
        max_rank: int,
        order: int,
        num_types: int,
    ) -> None:
        super().__init__()
        self.shape = [order, max_rank + 1, num_channels]  # of the weights
        self.sphere = SphereGrid(max_angular, order * max_angular + max_rank)
        self.sphere_of_scalars = SphereGrid(max_angular, order * max_angular)
        self.factors = torch.nn.ModuleList(
            LinearOfRanks(num_inputs, num_channels, max_angular) for _ in range(order)
        )
        sizes = torch.tensor(FIRST_SIZES[:order]).reshape(-1, 1, 1)
        weights = torch.randn([num_types] + self.shape) * sizes
        self.weights = torch.nn.Parameter(weights.flatten(1))
        self.mix = LinearOfRanks(num_channels, num_channels, max_rank)
        self.register_buffer("rank", ranks_of_components(max_rank), False)

    def forward(
        self, tensors: torch.Tensor, types: torch.Tensor, only_scalars: bool
    ) -> torch.Tensor:
        """Multiply.

        :param tensors: ``(l · m, atoms, num_inputs)``
        :param types: index of the type of each atom, ``(atoms,)``
        :param only_scalars: leave out all ``L`` but zero, for which fewer points of the
            grid are enough.
        :return: ``(L · M, atoms, num_channels)``
        """
        harmonics, projector = self.sphere.harmonics, self.sphere.projector
        rank = self.rank
        if only_scalars:
            harmonics = self.sphere_of_scalars.harmonics
            projector = self.sphere_of_scalars.projector
            rank = rank[:1]

        matrices: List[torch.Tensor] = []
        for factor in self.factors:
            matrices.append(factor.matrices(len(tensors)))  # type: ignore[operator]
        factors = torch.bmm(tensors, torch.cat(matrices, 2))  # (l · m, atoms, ν · k)
        powers = [factors[: len(rank), :, : self.shape[2]]]
        # of the points of the grid, each (points, atoms, k)
        values = on_first_components(harmonics, factors).chunk(len(matrices), 2)
        product = values[0]
        products: List[torch.Tensor] = []
        for value in values[1:]:
            product = product * value
            products.append(product)
        if len(products) > 0:
            of_points = torch.cat(products, 2)
            powers.append(on_first_components(projector[: len(rank)], of_points))

        weights = self.weights[types].unflatten(1, self.shape)  # (atoms, ν, L, k)
        weights = weights[:, :, rank].permute(2, 0, 1, 3)  # (L · M, atoms, ν, k)
        terms = torch.cat(powers, 2).unflatten(2, [len(matrices), -1])
        return self.mix((terms * weights).sum(2))

    @torch.jit.unused
    def add_types(self, num_types: int, known: torch.Tensor) -> None:
        """Add center types; ``known`` has the positions of the known ones among all."""
        self.weights = with_new_rows(self.weights, known, num_types)
