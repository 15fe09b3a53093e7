"""The padded neighbor list: radial functions and harmonics of every edge."""

from typing import Any, List, NamedTuple, Tuple

import torch
from metatomic.torch import NeighborListOptions

from ..documentation import ExpansionHypers
from ..o3 import SphericalHarmonics
from .padding import sort_into_rows, spread
from .radial import radial_functions
from .reader import NeighborList


class Edges(NamedTuple):
    """The padded neighbor list: a row of places for each center, sorted by type.

    If a center has fewer neighbors than places, all values in the others are zero.
    """

    types: torch.Tensor  # (types,), indices of the types that occur
    num_places: List[int]  # number of places for neighbors of each of these types
    neighbors: torch.Tensor  # (atoms, places), index of the neighbor
    radial: torch.Tensor  # (atoms, places, p), principal radial functions
    mixing: torch.Tensor  # (p, l · n), from these to R_nl
    cutoff: torch.Tensor  # (atoms, places, 1), cutoff function
    harmonics: torch.Tensor  # (atoms, places, l · m)


def of_neighbors(values: torch.Tensor, neighbors: torch.Tensor) -> torch.Tensor:
    """Gather values of atoms into the places of the neighbor list.

    :param values: ``(atoms, ...)``
    :param neighbors: those of :class:`Edges`, or some of its rows, ``(rows, places)``
    :return: ``(rows, places, ...)``, with arbitrary values in empty places.
    """
    # unlike indexing, index_select has a fast backward pass
    return values.index_select(0, neighbors.flatten()).unflatten(0, neighbors.shape)


class EdgeFunctions(torch.nn.Module):
    """Radial functions and spherical harmonics of the edges.

    :param hypers: arguments of featomic's ``SphericalExpansion``.
    """

    parity: torch.Tensor  # (l · m,), sign of the harmonics under inversion

    def __init__(self, hypers: ExpansionHypers) -> None:
        super().__init__()
        max_angular = hypers["basis"]["max_angular"]
        self.radial: Any = radial_functions(hypers)
        self.harmonics = SphericalHarmonics(max_angular)
        self.neighbor_list = NeighborListOptions(
            cutoff=hypers["cutoff"]["radius"], full_list=False, strict=True
        )
        parity = [(-1.0) ** l for l in range(max_angular + 1) for _ in range(2 * l + 1)]
        self.register_buffer(
            "parity", torch.tensor(parity, dtype=torch.float64), persistent=False
        )

    def forward(self, neighbor_list: NeighborList, atom_type: torch.Tensor) -> Edges:
        """Evaluate the edges in both directions.

        :param neighbor_list: a half list, with each two neighbors once.
        :param atom_type: index of the type of each atom, ``(atoms,)``
        """
        radial, cutoff, harmonics = self.of_vectors(neighbor_list.vectors)
        return self.from_both_sides(
            neighbor_list.first,
            neighbor_list.second,
            radial,
            cutoff,
            harmonics,
            atom_type,
        )

    @torch.jit.export
    def of_vectors(
        self, vectors: torch.Tensor
    ) -> Tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Evaluate the functions of vectors.

        :param vectors: ``(entries, 3)``
        :return: principal radial functions, ``(entries, p)``, the cutoff function,
            ``(entries, 1)``, and harmonics, ``(entries, l · m)``
        """
        distances = torch.sqrt(vectors.pow(2).sum(1))
        radial, cutoff = self.radial(distances)
        return radial, cutoff, self.harmonics(vectors / distances.unsqueeze(1))

    @torch.jit.export
    def from_both_sides(
        self,
        first: torch.Tensor,
        second: torch.Tensor,
        radial: torch.Tensor,
        cutoff: torch.Tensor,
        harmonics: torch.Tensor,
        atom_type: torch.Tensor,
    ) -> Edges:
        """Turn the entries of a neighbor list into edges in both directions.

        :param first: index of the first atom of each entry, ``(entries,)``
        :param second: index of the second atom, ``(entries,)``
        :param radial: as returned by :meth:`of_vectors`, with the other two.
        :param atom_type: index of the type of each atom, ``(atoms,)``
        """
        radial = self.radial.refine(radial, cutoff)
        types, atom_type = torch.unique(atom_type, return_inverse=True)
        neighbors = torch.cat([second, first])
        rows = sort_into_rows(
            torch.cat([first, second]), atom_type[neighbors], len(atom_type), len(types)
        )
        return Edges(
            types,
            rows.num_places,
            spread(neighbors.unsqueeze(1), rows).squeeze(2),
            spread(torch.cat([radial, radial]), rows),
            self.radial.mixing_of(radial),
            spread(torch.cat([cutoff, cutoff]), rows),
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
        """Combine the radial functions: ``(atoms, places, num_channels)``."""
        mixing = edges.mixing[:, : self.in_features]  # (p, n) of l = 0
        return edges.radial @ (mixing @ self.weight.T)
