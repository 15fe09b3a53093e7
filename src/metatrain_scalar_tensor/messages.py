"""Equivariant message passing between the densities of neighbors."""

from functools import partial
from typing import Any, Callable, List, Sequence

import torch

from .basis.contraction import Contraction
from .density import Surroundings
from .documentation import ExpansionHypers, MessageHypers
from .normalisation import root_mean_squares
from .o3 import CartesianGaunt, SphericalGaunt
from .structures import Edges, Structures
from .structures.edges import RadialWeights, of_neighbors


GATE_WIDTH = 64  # hidden width of the network that computes the gates
FIRST_SHARE = 0.1  # size of the messages relative to the density, before training


class MessageLayer(torch.nn.Module):
    r"""One round of messages.

    Neighbors send tensors :math:`a` along the edges: learned channels of their own
    density, up to a maximum rank, times learned functions :math:`g` of its norms. The
    received tensors and their products with themselves are added to the density:

    .. math::
        a_{j, cl} = g_{cl} \, \textstyle\sum_k V_{ck}^l \, x_{j, kl}, \qquad
        A_i = \sum_j R_c(r_{ij}) \, [a_j \otimes Y(\hat r_{ij})], \qquad
        x_{i, kl} \leftarrow x_{i, kl} + \sum_c \left(
            W_{kc}^l A_{i, cl} + W'^l_{kc} [A_i \otimes A_i]_{cl} \right)

    All products are channel by channel, of even parity, with Gaunt coefficients. The
    sum over neighbors is one batched matrix product of outer products, as for the
    density, and the coupling comes after it. Zaverkin et al., `arXiv:2405.14253
    <https://arxiv.org/abs/2405.14253>`_; Batatia et al., `arXiv:2206.07697
    <https://arxiv.org/abs/2206.07697>`_.

    :math:`W` and :math:`W'` start small, so that the untrained model is close to one
    without messages: large initial values add noise that training does not remove.

    :param hypers: largest rank, number of channels and representation.
    :param expansion: arguments of featomic's ``SphericalExpansion``.
    :param num_inputs: number of channels of the density.
    """

    scales: torch.Tensor  # (2, max_rank + 1), for A and its products with itself
    rank: torch.Tensor  # (l · m,), l of every component

    def __init__(
        self, hypers: MessageHypers, expansion: ExpansionHypers, num_inputs: int
    ) -> None:
        super().__init__()
        self.num_channels = hypers["channels"]
        max_angular = expansion["basis"]["max_angular"]
        num_ranks = hypers["max_rank"] + 1
        self.num_components = [2 * l + 1 for l in range(num_ranks)]
        self.send = torch.nn.ModuleList(
            Contraction(num_inputs, self.num_channels) for _ in range(max_angular + 1)
        )
        self.gate = torch.nn.Sequential(
            torch.nn.Linear((max_angular + 2) * self.num_channels, GATE_WIDTH),
            torch.nn.SiLU(),
            torch.nn.Linear(GATE_WIDTH, num_ranks * self.num_channels),
        )
        self.radial = RadialWeights(expansion, self.num_channels)
        self.receive = torch.nn.ModuleList(
            Contraction(2 * self.num_channels, num_inputs, scale=FIRST_SHARE)
            for _ in range(num_ranks)
        )
        Gaunt = {"spherical": SphericalGaunt, "cartesian": CartesianGaunt}[
            hypers["representation"]
        ]
        self.gaunt = Gaunt(hypers["max_rank"])
        rank = torch.tensor([l for l in range(num_ranks) for _ in range(2 * l + 1)])
        self.register_buffer("rank", rank, persistent=False)
        self.register_buffer("scales", torch.ones(2, num_ranks).double())

    def forward(self, density: List[torch.Tensor], edges: Edges) -> List[torch.Tensor]:
        """Send, receive and add.

        :param density: for every ``l``, ``(atoms, 2l + 1, num_inputs)``
        :param edges: the edges of the structures.
        :return: the density plus the messages, with the same shapes.
        """
        messages = self.messages(density, edges)  # (atoms, 2c, l · m)
        parts = messages.transpose(1, 2).split(self.num_components, dim=1)
        updated: List[torch.Tensor] = []
        for l, receive in enumerate(self.receive):
            updated.append(density[l] + receive(parts[l]))
        return updated + density[len(updated) :]

    @torch.jit.export
    def messages(self, density: List[torch.Tensor], edges: Edges) -> torch.Tensor:
        """Received tensors and their products: ``(atoms, 2 channels, l · m)``."""
        sent = self.sent(density)  # (atoms, c, λ · μ)
        components = self.gaunt.components(sent)  # type: ignore[operator]
        harmonics = edges.harmonics[:, :, : sent.shape[2]]
        harmonics = self.gaunt.components(harmonics)  # type: ignore[operator]
        radial = self.radial(edges)  # (atoms, places, c)
        on_edges = of_neighbors(components, edges) * radial.unsqueeze(3)
        outer = on_edges.flatten(2).transpose(1, 2) @ harmonics
        outer = outer.unflatten(1, [self.num_channels, components.shape[2]])
        received = self.gaunt(outer) * self.scales[0, self.rank]  # (atoms, c, l · m)
        components = self.gaunt.components(received)  # type: ignore[operator]
        products = self.gaunt(components.unsqueeze(3) * components.unsqueeze(2))
        return torch.cat([received, products * self.scales[1, self.rank]], dim=1)

    @torch.jit.export
    def sent(self, density: List[torch.Tensor]) -> torch.Tensor:
        """The tensors that the atoms send: ``(atoms, channels, λ · μ)``."""
        tensors: List[torch.Tensor] = []
        for l, send in enumerate(self.send):
            tensors.append(send(density[l]))  # (atoms, 2l + 1, c)
        scalars = [tensors[0].squeeze(1)]
        for a in tensors:
            scalars.append(a.pow(2).mean(1))
        gates = 1.0 + self.gate(torch.cat(scalars, dim=1))
        gates = gates.reshape(len(gates), -1, self.num_channels)  # (atoms, λ, c)
        sent = torch.cat(tensors[: gates.shape[1]], dim=1) * gates[:, self.rank]
        return sent.transpose(1, 2)

    @torch.no_grad()
    def calibrate(
        self,
        batches: Sequence[Structures],
        messages: Callable[[Structures], torch.Tensor],
    ) -> None:
        """Choose scales that give the largest rank of the messages unit mean square.

        In real data the other ranks are smaller by at most a factor of five. In
        crystals they can be zero: scaled separately, they would add noise to the
        forces.

        :param batches: typical structures, in batches.
        :param messages: :meth:`messages` of this layer, as a function of structures.
        """

        def of_every_rank(i: int, structures: Structures) -> Sequence[torch.Tensor]:
            return messages(structures).chunk(2, 1)[i].split(self.num_components, 2)

        self.scales.fill_(1.0)
        for i in range(2):  # the factors first, then their products
            sizes = root_mean_squares(batches, partial(of_every_rank, i))
            self.scales[i] = 1.0 / sizes.max()


class Messages(torch.nn.Module):
    """Layers of messages, each extending the reach by one cutoff.

    :param hypers: number of layers, largest rank, number of channels, representation.
    :param expansion: arguments of featomic's ``SphericalExpansion``.
    :param num_inputs: number of channels of the density.
    :raises ValueError: if ``max_rank`` exceeds ``max_angular`` of the density.
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
        self.layers = torch.nn.ModuleList(
            MessageLayer(hypers, expansion, num_inputs) for _ in range(hypers["layers"])
        )

    def forward(self, density: List[torch.Tensor], edges: Edges) -> List[torch.Tensor]:
        """Apply all layers.

        :param density: for every ``l``, ``(atoms, 2l + 1, num_inputs)``
        :param edges: the edges of the structures.
        :return: the updated density, with the same shapes.
        """
        for layer in self.layers:
            density = layer(density, edges)
        return density

    @torch.no_grad()
    def calibrate(
        self,
        batches: Sequence[Structures],
        look: Callable[[Structures], Surroundings],
    ) -> None:
        """Choose the scales of all layers.

        :param batches: typical structures, in batches.
        :param look: computes the surroundings of structures.
        """
        layers: List[Any] = list(self.layers)  # mypy takes their methods for tensors

        def messages(i: int, structures: Structures) -> torch.Tensor:
            density, edges = look(structures)
            for earlier in layers[:i]:
                density = earlier(density, edges)
            return layers[i].messages(density, edges)

        for i, layer in enumerate(layers):
            layer.calibrate(batches, partial(messages, i))
