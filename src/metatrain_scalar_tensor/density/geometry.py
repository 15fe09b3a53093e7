"""The edges of the neighbor list as functions: radial ones and harmonics."""

from typing import List, NamedTuple, Tuple

import torch
from metatomic.torch import NeighborListOptions, System

from ..documentation import ExpansionHypers
from ..o3 import SphericalHarmonics
from ..systems import check_distances, edge_vectors
from .radial import RadialFunctions
from .rows import sort_into_rows, spread


class Edges(NamedTuple):
    """The neighbors of every atom, in places that are sorted by type.

    Where an atom has fewer neighbors than there are places, everything is zero.
    """

    types: torch.Tensor  # (types,), index of those that occur
    num_places: List[int]  # for neighbors of each of them
    neighbors: torch.Tensor  # (atoms, places), index of the atom
    functions: torch.Tensor  # (atoms, places, p), principal radial functions
    mixing: torch.Tensor  # (p, l · n), which makes R_nl of them
    switch: torch.Tensor  # (atoms, places, 1), one to zero at the cutoff
    harmonics: torch.Tensor  # (atoms, places, l · m)


def of_neighbors(values: torch.Tensor, edges: Edges) -> torch.Tensor:
    """The values of the neighbors of every atom.

    :param values: ``(atoms, ...)``
    :param edges: the edges.
    :return: ``(atoms, places, ...)``, anything in empty places.
    """
    # unlike indexing, index_select has a fast backward pass
    chosen = values.index_select(0, edges.neighbors.flatten())
    return chosen.unflatten(0, edges.neighbors.shape)


class EdgeFunctions(torch.nn.Module):
    """Radial functions and spherical harmonics of the edges.

    :param hypers: arguments of featomic's ``SphericalExpansion``.
    :param closest: smallest distance of two atoms that is accepted.
    """

    parity: torch.Tensor  # (l · m,), of the harmonics under inversion

    def __init__(self, hypers: ExpansionHypers, closest: float = 0.0) -> None:
        super().__init__()
        self.closest = closest
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

    def forward(self, systems: List[System], atom_type: torch.Tensor) -> Edges:
        """Evaluate all edges.

        :param systems: structures, whose atoms are stacked in order.
        :param atom_type: index of the type of every atom, ``(atoms,)``
        :return: the edges.
        :raises ValueError: if two atoms are closer than ``closest``.
        """
        vectors, i, j = edge_vectors(systems, self.neighbor_list)
        check_distances(systems, vectors, i, j, self.closest)
        functions, switch, harmonics = self.of_vectors(vectors)
        return self.from_both_sides(i, j, functions, switch, harmonics, atom_type)

    @torch.jit.export
    def of_vectors(
        self, vectors: torch.Tensor
    ) -> Tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Evaluate the functions of some vectors.

        :param vectors: ``(pairs, 3)``
        :return: principal radial functions, ``(pairs, p)``, the switch at the cutoff,
            ``(pairs, 1)``, and harmonics, ``(pairs, l · m)``
        """
        distances = torch.sqrt(vectors.pow(2).sum(1))
        functions, switch = self.radial(distances)
        return functions, switch, self.harmonics(vectors / distances.unsqueeze(1))

    @torch.jit.export
    def from_both_sides(
        self,
        first: torch.Tensor,
        second: torch.Tensor,
        functions: torch.Tensor,
        switch: torch.Tensor,
        harmonics: torch.Tensor,
        atom_type: torch.Tensor,
    ) -> Edges:
        """Turn pairs into edges in both directions.

        :param first: index of the first atom of every pair, ``(pairs,)``
        :param second: index of the second atom, likewise.
        :param functions: as :meth:`of_vectors` gives them, with the other two.
        :param atom_type: index of the type of every atom, ``(atoms,)``
        :return: the edges.
        """
        types, atom_type = torch.unique(atom_type, return_inverse=True)
        neighbors = torch.cat([second, first])
        rows = sort_into_rows(
            torch.cat([first, second]), atom_type[neighbors], len(atom_type), len(types)
        )
        return Edges(
            types,
            rows.num_places,
            spread(neighbors.unsqueeze(1), rows).squeeze(2),
            spread(torch.cat([functions, functions]), rows),
            self.radial.mixing_of(functions),
            spread(torch.cat([switch, switch]), rows),
            spread(torch.cat([harmonics, harmonics * self.parity]), rows),
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
        """Combine them: ``(atoms, places, num_channels)``."""
        mixing = edges.mixing[:, : self.in_features]  # (p, n) of l = 0
        return edges.functions @ (mixing @ self.weight.T)
