"""Tensors that atoms receive from their neighbors."""

from typing import List

import torch

from ..basis.contraction import Contraction
from ..documentation import MessageHypers
from ..o3 import CartesianGaunt, SphericalGaunt
from ..o3.components import ranks_of_components
from ..rows import rows_at_a_time
from ..structures import Edges
from ..structures.edges import of_neighbors
from .linear import LinearOfRanks


NUM_SETS = 3  # of radial functions of the harmonics


class Receive(torch.nn.Module):
    r"""Tensors of the neighbors times harmonics, summed over the neighbors.

    .. math::
        A_{i, k} = \sum_{\lambda s l} w_{k \lambda s l} \left[ \sum_j
            \left( R_{k \lambda}(r_{ij}) \, a_{j, k}^\lambda \right) \otimes
            \left( \tilde R_{s l}(r_{ij}) \, Y^l(\hat r_{ij}) \right) \right],
        \qquad a_{j, k}^\lambda = \sum_{k'} V_{kk'}^\lambda \, h_{j, k'}^\lambda

    with learned radial functions, and with all couplings of the brackets that Gaunt
    coefficients have. Few sets :math:`s` give every channel and pair of ranks its own
    dependence on the distance, and the sum over neighbors stays one batched matrix
    product of outer products, as for the density; the coupling comes after it. Zaverkin
    et al., `arXiv:2405.14253 <https://arxiv.org/abs/2405.14253>`_; Batatia et al.,
    `arXiv:2206.07697 <https://arxiv.org/abs/2206.07697>`_.

    :param hypers: largest rank, number of channels and representation.
    :param max_angular: largest ``l`` of the harmonics and of the received tensors.
    :param num_radial: number of radial functions of the edges.
    """

    scale: torch.Tensor  # (), of the received tensors
    rank: torch.Tensor  # (λ · μ,), λ of every component
    angular: torch.Tensor  # (l · m,), l of every component

    def __init__(
        self, hypers: MessageHypers, max_angular: int, num_radial: int
    ) -> None:
        super().__init__()
        k, num_ranks = hypers["channels"], hypers["max_rank"] + 1
        self.num_channels = k
        self.send = LinearOfRanks(k, k, hypers["max_rank"])
        self.num_sets, num_angular = NUM_SETS, max_angular + 1
        self.of_sent = Contraction(num_radial, k * num_ranks)
        self.of_harmonics = Contraction(num_radial, NUM_SETS * num_angular)
        self.paths = torch.nn.Parameter(
            torch.randn(k, num_ranks, NUM_SETS, num_angular) * NUM_SETS**-0.5
        )
        Gaunt = {"spherical": SphericalGaunt, "cartesian": CartesianGaunt}[
            hypers["representation"]
        ]
        self.gaunt = Gaunt(hypers["max_rank"], max_angular, max_angular)
        for name, largest in (("rank", hypers["max_rank"]), ("angular", max_angular)):
            self.register_buffer(name, ranks_of_components(largest), persistent=False)
        self.register_buffer("scale", torch.tensor(1.0).double())

    def forward(self, tensors: torch.Tensor, edges: Edges) -> torch.Tensor:
        """Send along the edges, and sum over them.

        :param tensors: ``(λ · μ, atoms, channels)``
        :param edges: the edges of the structures.
        :return: ``(l · m, atoms, channels)``
        """
        sent = self.send(tensors).permute(1, 2, 0).flatten(1)  # (atoms, k · λ · μ)
        functions = edges.radial @ edges.mixing[:, : self.of_sent.in_features]
        of_sent = _of_components(self.of_sent.weight, self.num_channels, self.rank)
        of_harmonics = _of_components(
            self.of_harmonics.weight, self.num_sets, self.angular
        )
        paths = self.paths.index_select(1, self.rank).index_select(3, self.angular)
        received: List[torch.Tensor] = []
        n = rows_at_a_time(sent, 64)
        of_some = zip(
            functions.split(n), edges.neighbors.split(n), edges.harmonics.split(n)
        )
        for radial, neighbors, harmonics in of_some:
            on_edges = of_neighbors(sent, neighbors) * (radial @ of_sent.T)
            harmonics = harmonics.repeat(1, 1, self.num_sets)
            harmonics = harmonics * (radial @ of_harmonics.T)  # (atoms, places, s·l·m)
            outer = on_edges.transpose(1, 2) @ harmonics  # (atoms, k·λ·μ, s·l·m)
            outer = outer.reshape([len(outer)] + list(paths.shape))
            outer = (outer * paths).sum(3)  # (atoms, k, λ · μ, l · m)
            received.append(self.gaunt(outer))  # (atoms, k, l · m)
        return (torch.cat(received) * self.scale).permute(2, 0, 1)


def _of_components(
    weights: torch.Tensor, num_groups: int, rank: torch.Tensor
) -> torch.Tensor:
    """Repeat the weights of every rank for all of its components.

    :param weights: ``(groups · ranks, n)``
    :param num_groups: number of channels or of sets.
    :param rank: rank of every component, ``(components,)``
    :return: ``(groups · components, n)``
    """
    return weights.unflatten(0, [num_groups, -1])[:, rank].flatten(0, 1)
