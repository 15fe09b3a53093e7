"""Edges of structures that do not move, whose functions are computed only once.

Training needs no more than first derivatives with respect to positions, the forces.
Functions of the vectors between atoms can then be replaced by their values and slopes.
"""

from typing import List, NamedTuple, Optional

import torch
from metatomic.torch import System
from torch.autograd import forward_ad

from ...structures import (
    EdgeFunctions,
    Edges,
    NeighborList,
    Structures,
    read_neighbor_list,
)
from ...structures.reader import neighbor_vectors
from .groups import Groups


_ENTRIES_AT_A_TIME = 10_000  # for the computation of slopes


class FixedEdges(NamedTuple):
    """The neighbor list of a batch, with the functions of its vectors."""

    neighbor_list: NeighborList
    values: torch.Tensor  # (entries, functions), all functions of the edges
    slopes: Optional[torch.Tensor]  # (entries, functions, 3)

    def neighbor_list_of(self, systems: List[System]) -> NeighborList:
        """The neighbor list of the unmoved structures, differentiable with slopes."""
        if self.slopes is None:
            return self.neighbor_list
        first, second, shifts, _ = self.neighbor_list
        vectors = neighbor_vectors(systems, first, second, shifts)
        return NeighborList(first, second, shifts, vectors)

    def of(self, structures: Structures, functions: EdgeFunctions) -> Edges:
        """The edges of the unmoved structures, differentiable with slopes.

        :param structures: the structures, with this neighbor list.
        :param functions: the functions whose values are kept.
        """
        first, second, _, vectors = structures.neighbor_list
        values = self.values
        if self.slopes is not None:
            displacements = vectors - vectors.detach()  # zero, with derivatives
            values = values + _along(self.slopes, displacements)
        num_harmonics = len(functions.parity)
        num_radial = values.shape[1] - 1 - num_harmonics
        radial, cutoff, harmonics = values.split([num_radial, 1, num_harmonics], dim=1)
        return functions.from_both_sides(
            first, second, radial, cutoff, harmonics, structures.types
        )

    def moved(self, changes: torch.Tensor) -> "FixedEdges":
        """The edges with tangents, in a context of forward-mode differentiation.

        :param changes: tangents of the vectors between atoms, ``(entries, 3)``
        """
        assert self.slopes is not None
        values = forward_ad.make_dual(self.values, _along(self.slopes, changes))
        return self._replace(values=values, slopes=None)


def _along(slopes: torch.Tensor, changes: torch.Tensor) -> torch.Tensor:
    """Changes of the functions of edges, ``(entries, functions)``.

    :param slopes: ``(entries, functions, 3)``
    :param changes: of the vectors between atoms, ``(entries, 3)``
    """
    return (slopes @ changes.unsqueeze(2)).squeeze(2)


class EdgesInMemory:
    """The edges of all structures of a set.

    :param functions: the functions of the edges.
    :param systems: the structures, with neighbor lists.
    :param with_slopes: whether derivatives will be needed.
    """

    def __init__(
        self, functions: EdgeFunctions, systems: List[System], with_slopes: bool
    ) -> None:
        lists = [read_neighbor_list([s], functions.neighbor_list) for s in systems]
        self.first = torch.cat([one.first for one in lists])
        self.second = torch.cat([one.second for one in lists])
        self.shifts = [one.shifts[0] for one in lists]
        self.vectors = torch.cat([one.vectors for one in lists])
        self.num_atoms = torch.tensor([len(system) for system in systems])
        counts = torch.tensor([len(shifts) for shifts in self.shifts])
        self.groups = Groups(torch.repeat_interleave(counts), len(systems))
        self.functions = functions
        self.with_slopes = with_slopes
        self.values = torch.empty(0)
        self.slopes: Optional[torch.Tensor] = None

    def _evaluate(self, vectors: torch.Tensor) -> torch.Tensor:
        return torch.cat(self.functions.of_vectors(vectors), dim=1)

    @property
    def size(self) -> int:
        """The memory for values and slopes, in bytes."""
        one = self._evaluate(torch.ones_like(self.vectors[:1]))
        return len(self.vectors) * one.nbytes * (4 if self.with_slopes else 1)

    @torch.no_grad()
    def evaluate(self) -> None:
        """Compute values and slopes."""
        parts = self.vectors.split(_ENTRIES_AT_A_TIME)
        self.values = torch.cat([self._evaluate(vectors) for vectors in parts])
        if self.with_slopes:
            self.slopes = torch.cat([self._slopes(vectors) for vectors in parts])

    def _slopes(self, vectors: torch.Tensor) -> torch.Tensor:
        axes = torch.eye(3, dtype=vectors.dtype, device=vectors.device)
        along_axes = [
            torch.func.jvp(self._evaluate, (vectors,), (axis.expand_as(vectors),))[1]
            for axis in axes
        ]
        return torch.stack(along_axes, dim=2)  # (entries, functions, 3)

    def take(self, structures: torch.Tensor) -> FixedEdges:
        """The edges of the structures with these numbers."""
        rows, position = self.groups.take(structures)
        num_atoms = self.num_atoms[structures]
        first_atom = (num_atoms.cumsum(0) - num_atoms)[position]
        rows, first_atom = rows.to(self.first.device), first_atom.to(self.first.device)
        neighbor_list = NeighborList(
            self.first[rows] + first_atom,
            self.second[rows] + first_atom,
            [self.shifts[i] for i in structures.tolist()],
            self.vectors[rows],
        )
        slopes = None if self.slopes is None else self.slopes[rows]
        return FixedEdges(neighbor_list, self.values[rows], slopes)


def fixed_edges(functions: EdgeFunctions, systems: List[System]) -> FixedEdges:
    """The edges of the structures of one batch, with slopes.

    :param functions: the functions of the edges.
    :param systems: the structures, with neighbor lists.
    """
    edges = EdgesInMemory(functions, systems, with_slopes=True)
    edges.evaluate()
    return edges.take(torch.arange(len(systems)))
