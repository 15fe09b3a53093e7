"""Edges of structures that do not move: their functions are computed once.

Forces are first derivatives, and while training nothing is a second derivative with
respect to positions: functions of the vectors between atoms may be replaced by their
values and slopes where the atoms are.
"""

from typing import List, NamedTuple, Optional

import torch
from metatomic.torch import System

from ..density import EdgeFunctions, Edges
from ..systems import neighbor_pairs, pair_vectors
from .groups import Groups


_PAIRS_AT_A_TIME = 10_000  # when slopes are computed


class FixedEdges(NamedTuple):
    """The pairs of neighbors of a batch, with the functions of their vectors."""

    first: torch.Tensor  # (pairs,), index of an atom
    second: torch.Tensor
    shifts: List[torch.Tensor]  # of every structure, (its pairs, 3)
    values: torch.Tensor  # (pairs, functions), all that an edge has
    slopes: Optional[torch.Tensor]  # (pairs, functions, 3)

    def of(
        self, systems: List[System], functions: EdgeFunctions, atom_type: torch.Tensor
    ) -> Edges:
        """The edges, as functions of positions and cells.

        :param systems: the structures, unmoved; their positions and cells may ask for
            derivatives, if there are slopes.
        :param functions: what the values are of.
        :param atom_type: index of the type of every atom, ``(atoms,)``
        :return: the edges.
        """
        values = self.values
        if self.slopes is not None:
            vectors = pair_vectors(systems, self.first, self.second, self.shifts)
            displacements = vectors - vectors.detach()  # zero, with derivatives
            values = values + (self.slopes @ displacements.unsqueeze(2)).squeeze(2)
        num_harmonics = len(functions.parity)
        num_radial = values.shape[1] - 1 - num_harmonics
        radial, switch, harmonics = values.split([num_radial, 1, num_harmonics], dim=1)
        return functions.from_both_sides(
            self.first, self.second, radial, switch, harmonics, atom_type
        )


class EdgesInMemory:
    """The edges of all structures of a set.

    :param functions: the functions of the edges.
    :param systems: the structures, with neighbor lists.
    :param with_slopes: whether derivatives will be wanted.
    """

    def __init__(
        self, functions: EdgeFunctions, systems: List[System], with_slopes: bool
    ) -> None:
        pairs = [neighbor_pairs([s], functions.neighbor_list) for s in systems]
        self.first = torch.cat([first for first, _, _ in pairs])
        self.second = torch.cat([second for _, second, _ in pairs])
        self.shifts = [shifts for _, _, [shifts] in pairs]
        self.vectors = torch.cat(
            [pair_vectors([system], *of_one) for system, of_one in zip(systems, pairs)]
        )
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
        """The bytes that values and slopes will take."""
        one = self._evaluate(torch.ones_like(self.vectors[:1]))
        return len(self.vectors) * one.nbytes * (4 if self.with_slopes else 1)

    @torch.no_grad()
    def evaluate(self) -> None:
        """Compute values and slopes."""
        parts = self.vectors.split(_PAIRS_AT_A_TIME)
        self.values = torch.cat([self._evaluate(vectors) for vectors in parts])
        if self.with_slopes:
            self.slopes = torch.cat([self._slopes(vectors) for vectors in parts])

    def _slopes(self, vectors: torch.Tensor) -> torch.Tensor:
        axes = torch.eye(3, dtype=vectors.dtype, device=vectors.device)
        along_axes = [
            torch.func.jvp(self._evaluate, (vectors,), (axis.expand_as(vectors),))[1]
            for axis in axes
        ]
        return torch.stack(along_axes, dim=2)  # (pairs, functions, 3)

    def take(self, structures: torch.Tensor) -> FixedEdges:
        """The edges of some structures.

        :param structures: their numbers.
        :return: the edges.
        """
        rows, position = self.groups.take(structures)
        num_atoms = self.num_atoms[structures]
        first_atom = (num_atoms.cumsum(0) - num_atoms)[position]
        rows, first_atom = rows.to(self.first.device), first_atom.to(self.first.device)
        return FixedEdges(
            self.first[rows] + first_atom,
            self.second[rows] + first_atom,
            [self.shifts[i] for i in structures.tolist()],
            self.values[rows],
            None if self.slopes is None else self.slopes[rows],
        )
