"""The density computed by featomic, as a reference."""

from typing import List

import torch
from featomic.torch import SphericalExpansion
from metatensor.torch import Labels
from metatomic.torch import NeighborListOptions

from ..documentation import ExpansionHypers
from ..structures import Edges, Structures


class FeatomicExpansion(torch.nn.Module):
    """featomic's ``SphericalExpansion`` as dense tensors.

    It runs on the CPU, computes in float64, is differentiable once with respect to
    positions and cell, and needs featomic's compiled library.

    :param hypers: arguments of featomic's ``SphericalExpansion``.
    :param atomic_types: types that neighbors can have.
    """

    def __init__(self, hypers: ExpansionHypers, atomic_types: List[int]) -> None:
        super().__init__()
        self.max_angular = hypers["basis"]["max_angular"]
        # featomic's default, 1e-8, is not accurate enough as a reference for gradients
        self.expansion = SphericalExpansion(
            cutoff=hypers["cutoff"],
            density=hypers["density"],
            basis={**hypers["basis"], "spline_accuracy": 1e-13},
        )
        self.neighbor_types = Labels(
            "neighbor_type",
            torch.tensor(atomic_types, dtype=torch.int32).reshape(-1, 1),
        )

    @torch.jit.export
    def requested_neighbor_lists(self) -> List[NeighborListOptions]:
        """The neighbor list that featomic needs."""
        return self.expansion.requested_neighbor_lists()

    def forward(
        self,
        structures: Structures,
        edges: Edges,
        scale: torch.Tensor,
    ) -> List[torch.Tensor]:
        """Expand the density around every atom.

        :param structures: only their systems are used.
        :param edges: only their types are used; featomic has its own neighbor list.
        :param scale: factor for every ``l``, ``(max_angular + 1,)``
        :return: for every ``l``, ``(atoms, 2l + 1, types · n)`` for the types that
            occur.
        """
        neighbor_types = self.neighbor_types.to(scale.device)
        expansion = self.expansion(structures.systems)
        # (λ, σ, center_type, neighbor_type) -> (λ, σ), atoms in their order
        expansion = expansion.keys_to_properties(neighbor_types)
        expansion = expansion.keys_to_samples("center_type")
        density: List[torch.Tensor] = []
        for l in range(self.max_angular + 1):
            x = scale[l] * expansion.block({"o3_lambda": l}).values
            x = x.unflatten(2, [len(self.neighbor_types), -1])  # (atoms, m, type, n)
            density.append(x.index_select(2, edges.types).flatten(2))
        return density
