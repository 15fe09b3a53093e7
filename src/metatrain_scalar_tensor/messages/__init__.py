"""Equivariant message passing: many-body tensors of atoms and of their neighbors."""

from functools import partial
from typing import Any, Callable, List, NamedTuple, Sequence

import torch

from ..density import Surroundings
from ..density.species import with_new_rows
from ..documentation import ExpansionHypers, MessageHypers
from ..normalisation import root_mean_squares
from ..o3.components import ranks_of_components
from ..structures import Edges, Structures
from .linear import LinearOfRanks
from .powers import SpherePowers
from .receive import Receive


class Passed(NamedTuple):
    """What the messages leave at every atom."""

    tensors: List[torch.Tensor]
    """For every l, ``(atoms, 2l + 1, channels)``; of l = 0 alone if only these are read
    """
    scalars: torch.Tensor
    """Of all layers, ``(atoms, (layers + 1) · channels)``"""


class MessageLayer(torch.nn.Module):
    r"""One round of messages.

    .. math::
        h_i \leftarrow \mathcal{P}_q(A_i) + s_q \odot S h_i

    with the tensors :math:`A` received from the neighbors, their products
    :math:`\mathcal{P}` (:class:`SpherePowers`) and the atom's own tensors, both with
    weights for its type :math:`q`.

    :param hypers: largest rank, number of channels, order and representation.
    :param max_angular: largest ``l`` of the harmonics.
    :param num_radial: number of radial functions of the edges.
    :param max_rank: largest rank of the result.
    :param num_types: number of center types.
    """

    rank: torch.Tensor  # (λ · μ,), λ of every component that is kept

    def __init__(
        self,
        hypers: MessageHypers,
        max_angular: int,
        num_radial: int,
        max_rank: int,
        num_types: int,
    ) -> None:
        super().__init__()
        k, num_ranks = hypers["channels"], hypers["max_rank"] + 1
        self.shape = [num_ranks, k]
        self.receive = Receive(hypers, max_angular, num_radial)
        self.powers = SpherePowers(
            k, k, max_angular, max_rank, hypers["correlation_order"], num_types
        )
        self.keep = LinearOfRanks(k, k, hypers["max_rank"])
        self.kept = torch.nn.Parameter(torch.randn(num_types, num_ranks * k))
        rank = ranks_of_components(hypers["max_rank"])
        self.register_buffer("rank", rank, persistent=False)

    def forward(
        self,
        tensors: torch.Tensor,
        edges: Edges,
        types: torch.Tensor,
        only_scalars: bool,
    ) -> torch.Tensor:
        """Send, receive, multiply and add.

        :param tensors: ``(λ · μ, atoms, channels)``
        :param edges: the edges of the structures.
        :param types: index of the type of each atom, ``(atoms,)``
        :param only_scalars: compute no other results.
        :return: new tensors, ``(L · M, atoms, channels)``
        """
        products = self.powers(self.receive(tensors, edges), types, only_scalars)
        weights = self.kept[types].unflatten(1, self.shape)  # (atoms, λ, k)
        # the result of the last layer may have more or fewer ranks than those sent
        rank = self.rank[: products.shape[0]]
        kept = self.keep(tensors[: len(rank)]) * weights[:, rank].transpose(0, 1)
        return torch.cat([products[: len(rank)] + kept, products[len(rank) :]])

    @torch.jit.unused
    def add_types(self, num_types: int, known: torch.Tensor) -> None:
        """Add center types; ``known`` has the positions of the known ones among all."""
        self.powers.add_types(num_types, known)
        self.kept = with_new_rows(self.kept, known, num_types)


class Messages(torch.nn.Module):
    """Many-body tensors of the density, then layers of messages.

    Each layer extends the reach by one cutoff.

    :param hypers: number of layers, largest rank, number of channels, order and
        representation.
    :param expansion: the density.
    :param num_inputs: number of channels of the density.
    :param num_types: number of center types.
    :raises ValueError: if ``max_rank`` exceeds ``max_angular`` of the density.
    """

    def __init__(
        self,
        hypers: MessageHypers,
        expansion: ExpansionHypers,
        num_inputs: int,
        num_types: int,
    ) -> None:
        super().__init__()
        basis = expansion["basis"]
        max_angular, max_rank = basis["max_angular"], hypers["max_rank"]
        if max_rank > max_angular:
            raise ValueError(
                f"messages of rank {max_rank} can't be made from a density with "
                f"'max_angular' {max_angular}: set 'model.messages.max_rank' to it or "
                "less"
            )
        channels, order = hypers["channels"], hypers["correlation_order"]
        self.num_scalars = (hypers["layers"] + 1) * channels
        self.num_components = [2 * l + 1 for l in range(max_angular + 1)]
        self.first = SpherePowers(
            num_inputs, channels, max_angular, max_rank, order, num_types
        )
        num_radial = basis["radial"]["max_radial"] + 1
        self.layers = torch.nn.ModuleList(
            MessageLayer(
                hypers,
                max_angular,
                num_radial,
                max_angular if i == hypers["layers"] - 1 else max_rank,
                num_types,
            )
            for i in range(hypers["layers"])
        )

    def forward(
        self,
        density: List[torch.Tensor],
        edges: Edges,
        types: torch.Tensor,
        with_tensors: bool,
    ) -> Passed:
        """Apply all layers.

        :param density: for every ``l``, ``(atoms, 2l + 1, num_inputs)``
        :param edges: the edges of the structures.
        :param types: index of the type of each atom, ``(atoms,)``
        :param with_tensors: whether more than the scalars of the last layer are needed.
        """
        tensors = self.first(components_first(density), types, False)
        scalars = [tensors[0]]  # of (λ · μ, atoms, k)
        last = len(self.layers) - 1
        for i, layer in enumerate(self.layers):
            only_scalars = i == last and not with_tensors
            tensors = layer(tensors, edges, types, only_scalars)
            scalars.append(tensors[0])
        num_components = self.num_components if with_tensors else [1]
        of_ranks = tensors.transpose(0, 1).split(num_components, 1)
        return Passed(list(of_ranks), torch.cat(scalars, 1))

    @torch.jit.unused
    def add_types(self, num_types: int, known: torch.Tensor) -> None:
        """Add center types; ``known`` has the positions of the known ones among all."""
        modules: Any = [self.first, *self.layers]
        for module in modules:
            module.add_types(num_types, known)

    @torch.no_grad()
    def calibrate(
        self,
        batches: Sequence[Structures],
        look: Callable[[Structures], Surroundings],
    ) -> None:
        """Choose scales that give the received tensors unit mean square.

        In real data the ranks differ by at most a factor of five. In crystals they can
        be zero: scaled separately, they would add noise to the forces. The largest rank
        therefore determines the scale.

        :param batches: typical structures, in batches.
        :param look: computes the surroundings of structures.
        """
        layers: Any = list(self.layers)  # mypy takes their attributes for tensors

        def received(i: int, structures: Structures) -> Sequence[torch.Tensor]:
            density, edges = look(structures)
            tensors = self.first(components_first(density), structures.types, False)
            for earlier in layers[:i]:
                tensors = earlier(tensors, edges, structures.types, False)
            received = layers[i].receive(tensors, edges)
            return received.split(self.num_components)

        for i, layer in enumerate(layers):
            layer.receive.scale.fill_(1.0)
            sizes = root_mean_squares(batches, partial(received, i))
            layer.receive.scale.copy_(1.0 / sizes.max())


def components_first(density: List[torch.Tensor]) -> torch.Tensor:
    """As messages have them: few components, and many atoms times channels.

    :param density: for every ``l``, ``(atoms, 2l + 1, channels)``
    :return: ``(l · m, atoms, channels)``
    """
    return torch.cat(density, dim=1).transpose(0, 1)


__all__ = ["MessageLayer", "Messages", "Passed", "components_first"]
