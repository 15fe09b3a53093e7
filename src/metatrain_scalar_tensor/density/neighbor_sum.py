"""The exact neighbor sum: a density weighted by learned scalars of both atoms."""

from typing import List

import torch

from ..documentation import ExpansionHypers
from ..structures.edges import Edges, RadialWeights, of_neighbors


class NeighborSum(torch.nn.Module):
    r"""Scalars on the edges times spherical harmonics, summed over neighbors.

    .. math::
        x_{c,lm} = \sum_j s_c(h_i, h_j, r_{ij}) \, Y_{lm}(\hat r_{ij}), \qquad
        s = W \, \mathrm{SiLU}(A h_i + B h_j + C R_{n0}(r_{ij})) \, f_c(r_{ij})

    with the features :math:`h` of both atoms, functions of their invariants: the form
    in which scalar × tensor expansions are exact (Domina et al., `arXiv:2505.05404
    <https://arxiv.org/abs/2505.05404>`_). The features of a neighbor depend on its own
    neighbors, and the result on atoms up to twice the cutoff away.

    :param hypers: arguments of featomic's ``SphericalExpansion``.
    :param num_features: number of features of an atom.
    :param num_channels: number of scalars on every edge.
    """

    def __init__(
        self, hypers: ExpansionHypers, num_features: int, num_channels: int
    ) -> None:
        super().__init__()
        self.num_components = [
            2 * l + 1 for l in range(hypers["basis"]["max_angular"] + 1)
        ]
        self.of_center = torch.nn.Linear(num_features, num_channels)
        self.of_neighbor = torch.nn.Linear(num_features, num_channels, bias=False)
        self.of_distance = RadialWeights(hypers, num_channels)
        self.mix = torch.nn.Linear(num_channels, num_channels)

    def forward(self, features: torch.Tensor, edges: Edges) -> List[torch.Tensor]:
        """Sum over the neighbors of every atom.

        :param features: ``(atoms, num_features)``
        :param edges: the edges of the structures.
        :return: for every ``l``, ``(atoms, 2l + 1, num_channels)``
        """
        scalars = (
            self.of_distance(edges)
            + of_neighbors(self.of_neighbor(features), edges.neighbors)
            + self.of_center(features).unsqueeze(1)
        )  # (atoms, places, channels)
        scalars = self.mix(torch.nn.functional.silu(scalars)) * edges.cutoff
        sums = edges.harmonics.transpose(1, 2) @ scalars  # (atoms, l · m, channels)
        return list(sums.split(self.num_components, dim=1))
