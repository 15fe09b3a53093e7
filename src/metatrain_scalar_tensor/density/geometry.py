"""The edges of the neighbor list as functions: radial ones and harmonics."""

from typing import List, NamedTuple

import torch
from metatomic.torch import NeighborListOptions, System

from ..documentation import ExpansionHypers
from ..o3 import SphericalHarmonics
from ..systems import edge_vectors
from .radial import RadialFunctions


class Edges(NamedTuple):
    """Every pair of neighbors, seen from both sides."""

    centers: torch.Tensor  # (edges,)
    neighbors: torch.Tensor  # (edges,)
    functions: torch.Tensor  # (edges, p), principal radial functions
    mixing: torch.Tensor  # (p, l · n), which makes R_nl of them
    switch: torch.Tensor  # (edges, 1), one to zero at the cutoff
    harmonics: torch.Tensor  # (edges, l · m)


class EdgeFunctions(torch.nn.Module):
    """Radial functions and spherical harmonics of the edges.

    :param hypers: arguments of featomic's ``SphericalExpansion``.
    """

    parity: torch.Tensor  # (l · m,), of the harmonics under inversion

    def __init__(self, hypers: ExpansionHypers) -> None:
        super().__init__()
        max_angular = hypers["basis"]["max_angular"]
        self.radial = RadialFunctions(hypers)
        self.harmonics = SphericalHarmonics(max_angular)
        self.neighbor_list = NeighborListOptions(
            cutoff=self.radial.radius, full_list=False, strict=True
        )
        parity = [(-1.0) ** l for l in range(max_angular + 1) for _ in range(2 * l + 1)]
        self.register_buffer(
            "parity", torch.tensor(parity, dtype=torch.float64), persistent=False
        )

    def forward(self, systems: List[System]) -> Edges:
        """Evaluate all edges.

        :param systems: structures, whose atoms are stacked in order.
        :return: the edges.
        """
        vectors, i, j = edge_vectors(systems, self.neighbor_list)
        distances = torch.sqrt(vectors.pow(2).sum(1))
        functions, mixing, switch = self.radial(distances)
        harmonics = self.harmonics(vectors / distances.unsqueeze(1))
        return Edges(
            torch.cat([i, j]),
            torch.cat([j, i]),
            torch.cat([functions, functions]),
            mixing,
            torch.cat([switch, switch]),
            torch.cat([harmonics, harmonics * self.parity]),
        )


class RadialWeights(torch.nn.Linear):
    """Learned combinations of the radial functions ``R_n0`` of the edges.

    :param hypers: arguments of featomic's ``SphericalExpansion``.
    :param num_channels: number of combinations.
    """

    def __init__(self, hypers: ExpansionHypers, num_channels: int) -> None:
        num_radial = hypers["basis"]["radial"]["max_radial"] + 1
        super().__init__(num_radial, num_channels, bias=False)

    def forward(self, edges: Edges) -> torch.Tensor:  # type: ignore[override]
        """Combine them: ``(edges, num_channels)``."""
        mixing = edges.mixing[:, : self.in_features]  # (p, n) of l = 0
        return edges.functions @ (mixing @ self.weight.T)
