"""Equivariant message passing: the density learns what its neighbors see."""

from typing import Any, List

import torch
from metatomic.torch import System

from .density.geometry import EdgeFunctions, Edges
from .density.rows import sum_of_products
from .documentation import ExpansionHypers, MessageHypers
from .o3 import SphereGrid


class MessageLayer(torch.nn.Module):
    r"""One round of messages.

    The neighbors of an atom send tensors :math:`a`, learned channels of their own
    density times learned functions of their norms, along edges:

    .. math::
        m_{i, clm} = \sum_{\lambda\mu, l'm'} G_{\lambda\mu, l'm'}^{lm} \sum_j
            R_c(r_{ij}) \, a_{j, c\lambda\mu} \, Y_{l'm'}(\hat r_{ij}), \qquad
        x_{i, klm} \leftarrow x_{i, klm} + \sum_c W_{kc}^l m_{i, clm}

    The inner sum is one batched matrix product, the same as that of the density. The
    Gaunt coefficients :math:`G = \int Y_{\lambda\mu} Y_{l'm'} Y_{lm}` couple channel by
    channel, as the tensor products of Zaverkin et al., `arXiv:2405.14253
    <https://arxiv.org/abs/2405.14253>`_, all of even parity.

    :param max_angular: largest angular channel of the density.
    :param max_rank: largest rank of what is sent.
    :param num_inputs: number of channels of the density.
    :param num_channels: number of channels of the messages.
    :param num_radial: number of radial functions of an edge.
    """

    gaunt: torch.Tensor  # (λ · μ · l' · m', l · m)
    scale: torch.Tensor  # (max_angular + 1,)

    def __init__(
        self,
        max_angular: int,
        max_rank: int,
        num_inputs: int,
        num_channels: int,
        num_radial: int,
    ) -> None:
        super().__init__()
        self.num_channels = num_channels
        self.num_components = [2 * l + 1 for l in range(max_angular + 1)]
        self.send = torch.nn.ModuleList(
            torch.nn.Linear(num_inputs, num_channels, bias=False)
            for _ in range(max_rank + 1)
        )
        self.receive = torch.nn.ModuleList(
            torch.nn.Linear(num_channels, num_inputs, bias=False)
            for _ in self.num_components
        )
        for linear in [*self.send, *self.receive]:
            torch.nn.init.normal_(linear.weight, std=linear.in_features**-0.5)
        self.gate = torch.nn.Sequential(
            torch.nn.Linear((max_rank + 2) * num_channels, num_channels),
            torch.nn.SiLU(),
            torch.nn.Linear(num_channels, num_channels),
        )
        self.radial = torch.nn.Linear(num_radial, num_channels, bias=False)
        sphere = SphereGrid(max_angular, 2 * max_angular + max_rank)
        sent = sphere.harmonics[: (max_rank + 1) ** 2]
        products = sent.unsqueeze(1) * sphere.harmonics  # (λ · μ, l' · m', points)
        self.register_buffer(
            "gaunt",
            sphere.project(products, max_angular).flatten(0, 1),
            persistent=False,
        )
        self.register_buffer("scale", torch.ones(max_angular + 1).double())

    def forward(self, density: List[torch.Tensor], edges: Edges) -> List[torch.Tensor]:
        """Send, receive and add.

        :param density: for every ``l``, ``(atoms, 2l + 1, num_inputs)``
        :param edges: the edges of the structures.
        :return: likewise, with the messages.
        """
        messages = self.messages(density, edges)
        updated: List[torch.Tensor] = []
        for l, receive in enumerate(self.receive):
            updated.append(density[l] + receive(messages[l] * self.scale[l]))
        return updated

    def messages(self, density: List[torch.Tensor], edges: Edges) -> List[torch.Tensor]:
        """What atoms receive, for every ``l``: ``(atoms, 2l + 1, num_channels)``."""
        tensors: List[torch.Tensor] = []
        scalars = [self.send[0](density[0]).squeeze(1)]
        for rank, send in enumerate(self.send):
            a = send(density[rank])  # (atoms, 2λ + 1, channels)
            tensors.append(a)
            scalars.append(a.pow(2).mean(1))
        gates = self.gate(torch.cat(scalars, dim=1)).unsqueeze(1)  # (atoms, 1, c)
        sent = torch.cat(tensors, dim=1) * gates  # (atoms, λ · μ, c)
        radial = self.radial(edges.radial).unsqueeze(1)  # (edges, 1, c)
        on_edges = (sent[edges.neighbors] * radial).transpose(1, 2).flatten(1)
        sums = sum_of_products(
            on_edges, edges.harmonics, edges.centers, len(sent)
        )  # (atoms, c · λ · μ, l' · m')
        sums = sums.reshape(len(sent), self.num_channels, self.gaunt.shape[0])
        coupled = (sums @ self.gaunt).transpose(1, 2)  # (atoms, l · m, c)
        return list(coupled.split(self.num_components, dim=1))


class Messages(torch.nn.Module):
    """Rounds of messages, each reaching one cutoff further.

    :param hypers: number of layers, largest rank and number of channels.
    :param expansion: arguments of featomic's ``SphericalExpansion``.
    :param num_inputs: number of channels of the density.
    """

    def __init__(
        self, hypers: MessageHypers, expansion: ExpansionHypers, num_inputs: int
    ) -> None:
        super().__init__()
        max_angular = expansion["basis"]["max_angular"]
        if hypers["max_rank"] > max_angular:
            raise ValueError(
                f"messages of rank {hypers['max_rank']} can't be made from a density "
                f"with 'max_angular' {max_angular}: set 'model.messages.max_rank' to "
                "it or less"
            )
        self.edges = EdgeFunctions(expansion)
        self.layers = torch.nn.ModuleList(
            MessageLayer(
                max_angular,
                hypers["max_rank"],
                num_inputs,
                hypers["num_channels"],
                self.edges.num_radial,
            )
            for _ in range(hypers["layers"])
        )

    def forward(
        self, systems: List[System], density: List[torch.Tensor]
    ) -> List[torch.Tensor]:
        """Let the atoms exchange what they see.

        :param systems: structures, whose atoms are stacked in order.
        :param density: for every ``l``, ``(atoms, 2l + 1, num_inputs)``
        :return: likewise.
        """
        edges = self.edges(systems)
        for layer in self.layers:
            density = layer(density, edges)
        return density

    @torch.no_grad()
    def calibrate(self, systems: List[System], density: List[torch.Tensor]) -> None:
        """Choose the scales so that messages have unit mean square for every ``l``.

        :param systems: typical structures, such as the first batch of a training set.
        :param density: their density.
        """
        edges = self.edges(systems)
        layer: Any  # mypy takes its methods for tensors
        for layer in self.layers:
            for l, message in enumerate(layer.messages(density, edges)):
                mean_square = message.pow(2).mean()
                if mean_square > 0:  # lone atoms receive nothing
                    layer.scale[l] = mean_square.rsqrt()
            density = layer(density, edges)
