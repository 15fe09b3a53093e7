"""The exact neighbor sum: a density whose weights are scalars of both atoms."""

from typing import List

import torch
from metatomic.torch import NeighborListOptions, System

from ..documentation import ExpansionHypers
from ..o3 import SphericalHarmonics
from ..systems import edges
from .radial import RadialFunctions
from .rows import sum_of_products


class NeighborSum(torch.nn.Module):
    r"""Scalars on the edges times spherical harmonics, summed over neighbors.

    .. math::
        x_{c,lm} = \sum_j s_c(h_i, h_j, r_{ij}) \, Y_{lm}(\hat r_{ij}), \qquad
        s = W \, \mathrm{SiLU}(A h_i + B h_j + C R_{n0}(r_{ij})) \, f_c(r_{ij})

    with the features :math:`h` of both atoms, functions of their invariants: the form
    in which scalar × tensor expansions are exact (Domina et al., `arXiv:2505.05404
    <https://arxiv.org/abs/2505.05404>`_). The features of a neighbor know its own
    neighbors, so that the result depends on atoms up to twice the cutoff away.

    :param hypers: arguments of featomic's ``SphericalExpansion``.
    :param num_features: number of features of an atom.
    :param num_channels: number of scalars on every edge.
    """

    parity: torch.Tensor  # (l · m,), of the harmonics under inversion

    def __init__(
        self, hypers: ExpansionHypers, num_features: int, num_channels: int
    ) -> None:
        super().__init__()
        self.num_components = [
            2 * l + 1 for l in range(hypers["basis"]["max_angular"] + 1)
        ]
        self.num_radial = hypers["basis"]["radial"]["max_radial"] + 1
        self.radial = RadialFunctions(hypers)
        self.harmonics = SphericalHarmonics(hypers["basis"]["max_angular"])
        self.neighbor_list = NeighborListOptions(
            cutoff=self.radial.radius, full_list=False, strict=True
        )
        self.of_center = torch.nn.Linear(num_features, num_channels)
        self.of_neighbor = torch.nn.Linear(num_features, num_channels, bias=False)
        self.of_distance = torch.nn.Linear(self.num_radial, num_channels, bias=False)
        self.mix = torch.nn.Linear(num_channels, num_channels)
        parity = [(-1.0) ** (n // 2) for n in self.num_components for _ in range(n)]
        self.register_buffer(
            "parity", torch.tensor(parity, dtype=torch.float64), persistent=False
        )

    def forward(
        self, systems: List[System], features: torch.Tensor
    ) -> List[torch.Tensor]:
        """Sum over the neighbors of every atom.

        :param systems: structures, whose atoms are stacked in order.
        :param features: ``(atoms, num_features)``
        :return: for every ``l``, ``(atoms, 2l + 1, num_channels)``
        """
        vectors, i, j = edges(systems, self.neighbor_list)
        distances = torch.sqrt(vectors.pow(2).sum(1))
        radial, mixing = self.radial(distances)
        of_distance = self.of_distance(radial @ mixing[:, : self.num_radial])
        harmonics = self.harmonics(vectors / distances.unsqueeze(1))  # (pairs, l · m)
        # every pair is seen from both sides
        centers, neighbors = torch.cat([i, j]), torch.cat([j, i])  # (edges,)
        harmonics = torch.cat([harmonics, harmonics * self.parity])
        scalars = (
            self.of_center(features)[centers]
            + self.of_neighbor(features)[neighbors]
            + torch.cat([of_distance, of_distance])
        )  # (edges, channels)
        switch = self.radial.switch(distances)
        scalars = self.mix(torch.nn.functional.silu(scalars))
        scalars = scalars * torch.cat([switch, switch]).unsqueeze(1)
        sums = sum_of_products(harmonics, scalars, centers, len(features))
        return list(sums.split(self.num_components, dim=1))
