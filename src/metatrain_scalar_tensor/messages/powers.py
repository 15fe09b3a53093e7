"""Products of the tensors of an atom with themselves: its many-body tensors."""

import torch

from ..density.species import with_new_rows
from ..o3 import SphereGrid
from ..o3.components import ranks_of_components
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
        self.max_rank = max_rank
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

        :param tensors: ``(atoms, l · m, num_inputs)``
        :param types: index of the type of each atom, ``(atoms,)``
        :param only_scalars: leave out all ``L`` but zero, for which fewer points of the
            grid are enough.
        :return: ``(atoms, L · M, num_channels)``
        """
        max_rank = 0 if only_scalars else self.max_rank
        rank = self.rank[: (max_rank + 1) * (max_rank + 1)]
        weights = self.weights[types].unflatten(1, self.shape)  # (atoms, ν, L, k)
        product = tensors
        sums = tensors
        for order, factor in enumerate(self.factors):
            f = factor(tensors)  # (atoms, l · m, k)
            if only_scalars:
                values = self.sphere_of_scalars(f)  # (atoms, points, k)
            else:
                values = self.sphere(f)
            if order == 0:
                product, sums = values, f[:, : len(rank)] * weights[:, 0, rank]
            else:
                product = product * values
                if only_scalars:
                    projected = self.sphere_of_scalars.project(product, 0)
                else:
                    projected = self.sphere.project(product, max_rank)
                sums = sums + projected * weights[:, order, rank]
        return self.mix(sums)

    @torch.jit.unused
    def add_types(self, num_types: int, known: torch.Tensor) -> None:
        """Add center types; ``known`` has the positions of the known ones among all."""
        self.weights = with_new_rows(self.weights, known, num_types)
