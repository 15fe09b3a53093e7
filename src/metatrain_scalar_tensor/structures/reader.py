"""Tensors from metatomic's systems."""

from typing import List, NamedTuple

import torch
from metatomic.torch import NeighborListOptions, System

from .checks import check_distances, check_finite


class NeighborList(NamedTuple):
    """A neighbor list of structures, whose atoms are stacked in order."""

    first: torch.Tensor  # (entries,), index of the first atom
    second: torch.Tensor  # (entries,), index of the second atom
    shifts: List[torch.Tensor]  # for each structure, cell shifts of its second atoms
    vectors: torch.Tensor  # (entries, 3), from the first atom to the second


class Structures(NamedTuple):
    """Structures as tensors, the input of the model."""

    systems: List[System]  # for other libraries, and for their cells
    types: torch.Tensor  # (atoms,), index in the model's list of types
    neighbor_list: NeighborList  # each two atoms within the cutoff once


def read_neighbor_list(
    systems: List[System], options: NeighborListOptions
) -> NeighborList:
    """Read a neighbor list, as differentiable functions of positions and cells.

    :param systems: structures that have this neighbor list.
    :param options: which neighbor list.
    """
    pairs: List[torch.Tensor] = []
    shifts: List[torch.Tensor] = []
    first_atom = 0
    for system in systems:
        samples = system.get_neighbor_list(options).samples.values
        pairs.append(samples[:, :2] + first_atom)
        shifts.append(samples[:, 2:].to(system.cell))
        first_atom += len(system)
    first, second = torch.cat(pairs).to(torch.int64).unbind(1)
    vectors = neighbor_vectors(systems, first, second, shifts)
    return NeighborList(first, second, shifts, vectors)


def neighbor_vectors(
    systems: List[System],
    first: torch.Tensor,
    second: torch.Tensor,
    shifts: List[torch.Tensor],
) -> torch.Tensor:
    """Vectors from the first to the second atoms, as in :class:`NeighborList`.

    They are computed from the positions, since the vectors in metatomic's neighbor
    lists can be differentiated only once.
    """
    positions = torch.cat([system.positions for system in systems])
    shift_vectors: List[torch.Tensor] = []
    for i, system in enumerate(systems):
        shift_vectors.append(shifts[i] @ system.cell)
    # unlike indexing, index_select has a fast backward pass
    vectors = positions.index_select(0, second) - positions.index_select(0, first)
    return vectors + torch.cat(shift_vectors)


class StructureReader(torch.nn.Module):
    """Reads structures, and refuses those that no model can describe.

    :param atomic_types: the types that the model knows.
    :param neighbor_list: the neighbor list of the density.
    :param closest: smallest distance of two atoms that is accepted.
    """

    index_of_type: torch.Tensor  # index for each atomic number, or -1

    def __init__(
        self,
        atomic_types: List[int],
        neighbor_list: NeighborListOptions,
        closest: float,
    ) -> None:
        super().__init__()
        self.atomic_types = atomic_types
        self.neighbor_list = neighbor_list
        self.closest = closest
        # the last entry stands for all atomic numbers beyond the table
        index_of_type = torch.full((max(atomic_types) + 2,), -1)
        index_of_type[atomic_types] = torch.arange(len(atomic_types))
        self.register_buffer("index_of_type", index_of_type, persistent=False)

    def forward(self, systems: List[System]) -> Structures:
        """Turn structures, with neighbor lists, into tensors.

        :raises ValueError: as :meth:`types`, and for structures with atoms on top of
            each other, or with NaN or infinite positions.
        """
        types = self.types(systems)
        check_finite(systems)
        neighbor_list = read_neighbor_list(systems, self.neighbor_list)
        first, second, _, vectors = neighbor_list
        check_distances(systems, vectors, first, second, self.closest)
        return Structures(systems, types, neighbor_list)

    @torch.jit.export
    def types(self, systems: List[System]) -> torch.Tensor:
        """Index of the type of each atom in the model's list, ``(atoms,)``.

        :raises ValueError: if an atom has a type that the model does not know, a
            structure has no atoms, or there is no structure.
        """
        if len(systems) == 0:
            raise ValueError("there is no structure to predict")
        for i, system in enumerate(systems):
            if len(system) == 0:
                raise ValueError(
                    f"structure {i} of those to predict has no atoms: leave it out"
                )
        types = torch.cat([system.types for system in systems]).to(torch.int64)
        index = self.index_of_type[types.clamp(-1, len(self.index_of_type) - 1)]
        if bool((index < 0).any()):
            unknown = int(types[index < 0][0])
            raise ValueError(
                f"the structures have an atom of type {unknown}, which this model does "
                f"not know: it is for the types {self.atomic_types}"
            )
        return index
