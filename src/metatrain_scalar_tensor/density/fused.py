"""The density in plain TorchScript, on CPU and GPU, twice differentiable."""

from typing import List

import torch
from metatomic.torch import NeighborListOptions

from ..documentation import ExpansionHypers
from ..structures import Edges, Structures
from ..structures.radial import density_of_center


class FusedExpansion(torch.nn.Module):
    """The same numbers as featomic's ``SphericalExpansion``.

    Batched matrix products sum the principal radial functions times the harmonics over
    the neighbors of each type. The radial functions are combinations of these sums.

    :param hypers: arguments of featomic's ``SphericalExpansion``.
    """

    self_term: torch.Tensor  # (n,), density of the center atom, for l = 0

    def __init__(self, hypers: ExpansionHypers) -> None:
        super().__init__()
        max_angular = hypers["basis"]["max_angular"]
        self.num_components = [2 * l + 1 for l in range(max_angular + 1)]
        self.num_radial = hypers["basis"]["radial"]["max_radial"] + 1
        self.register_buffer("self_term", density_of_center(hypers), persistent=False)

    @torch.jit.export
    def requested_neighbor_lists(self) -> List[NeighborListOptions]:
        """None in addition to that of the edges."""
        return []

    def forward(
        self,
        structures: Structures,
        edges: Edges,
        scale: torch.Tensor,
    ) -> List[torch.Tensor]:
        """Expand the density around every atom.

        :param structures: only their types are used.
        :param edges: the edges of the structures.
        :param scale: factor for every ``l``, ``(max_angular + 1,)``
        :return: for every ``l``, ``(atoms, 2l + 1, types · n)`` for the types that
            occur.
        """
        of_types: List[torch.Tensor] = []
        functions_of_types = edges.radial.split(edges.num_places, 1)
        for i, harmonics in enumerate(edges.harmonics.split(edges.num_places, 1)):
            of_types.append(harmonics.transpose(1, 2) @ functions_of_types[i])
        sums = torch.stack(of_types, dim=2)  # (atoms, l · m, types, p)
        mixing = edges.mixing * scale.repeat_interleave(self.num_radial)
        mixing_of_l = mixing.split(self.num_radial, 1)
        density: List[torch.Tensor] = []
        for l, x in enumerate(sums.split(self.num_components, 1)):
            x = x.reshape(-1, mixing.shape[0]) @ mixing_of_l[l]
            density.append(x.reshape(len(structures.types), 2 * l + 1, -1))

        own_type = structures.types.unsqueeze(1) == edges.types  # (atoms, types)
        self_term = own_type.unsqueeze(2) * (scale[0] * self.self_term)
        density[0] = density[0] + self_term.flatten(1).unsqueeze(1)
        return density
