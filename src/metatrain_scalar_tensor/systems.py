"""What the model reads from the structures besides their density."""

from typing import List, Tuple

import torch
from metatensor.torch import Labels
from metatomic.torch import NeighborListOptions, System, unit_conversion_factor


class TypeIndex(torch.nn.Module):
    """The position of every atom's type in the list of types that a model knows.

    :param atomic_types: the known types.
    """

    table: torch.Tensor  # index of every type, or -1

    def __init__(self, atomic_types: List[int]) -> None:
        super().__init__()
        self.atomic_types = atomic_types
        # the last entry stands for everything outside of the table
        table = torch.full((max(atomic_types) + 2,), -1)
        table[atomic_types] = torch.arange(len(atomic_types))
        self.register_buffer("table", table, persistent=False)

    def forward(self, systems: List[System]) -> torch.Tensor:
        """Look the types up.

        :param systems: structures.
        :return: index of the type of every atom, ``(atoms,)``
        :raises ValueError: if there is an atom of a type that the model does not know,
            a structure without atoms, or no structure.
        """
        if len(systems) == 0:
            raise ValueError("there is no structure to predict")
        for i, system in enumerate(systems):
            if len(system) == 0:
                raise ValueError(
                    f"structure {i} of those to predict has no atoms: leave it out"
                )
        types = torch.cat([system.types for system in systems]).to(torch.int64)
        index = self.table[types.clamp(-1, len(self.table) - 1)]
        if bool((index < 0).any()):
            unknown = int(types[index < 0][0])
            raise ValueError(
                f"the structures have an atom of type {unknown}, which this model does "
                f"not know: it was made for the types {self.atomic_types}"
            )
        return index


def closest_distance(length_unit: str) -> float:
    """The smallest distance of two atoms that is taken for physics: 0.1 Å.

    Nuclei come that close at energies of 100 eV and more; in data it is a mistake.

    :param length_unit: unit of the structures; without one, only distances of 0.01 of
        whatever it is (nm, say) are mistakes for sure.
    """
    if length_unit == "":
        return 0.01
    return 0.1 * unit_conversion_factor("angstrom", length_unit)


def is_finite(system: System) -> bool:
    """Whether positions and cell of a structure are numbers."""
    return bool(torch.cat([system.positions, system.cell]).isfinite().all())


def check_finite(systems: List[System]) -> None:
    """Refuse structures with NaN or infinite positions or cells.

    :param systems: structures.
    :raises ValueError: if there is one, with its number.
    """
    numbers = [s.positions for s in systems] + [s.cell for s in systems]
    if not bool(torch.cat(numbers).isfinite().all()):
        for i, system in enumerate(systems):
            if not is_finite(system):
                raise ValueError(
                    f"structure {i} of those to predict has NaN or infinite values in "
                    "its positions or cell: in a simulation, look for what made it "
                    "explode"
                )


def check_distances(
    systems: List[System],
    vectors: torch.Tensor,
    first: torch.Tensor,
    second: torch.Tensor,
    closest: float,
) -> None:
    """Refuse structures with atoms on top of each other.

    :param systems: structures, whose atoms are stacked.
    :param vectors: between the atoms of all pairs, ``(pairs, 3)``
    :param first: first atoms, ``(pairs,)``
    :param second: second atoms, likewise.
    :param closest: smallest distance that is accepted.
    :raises ValueError: if there are some, with their numbers.
    """
    too_close = vectors.detach().pow(2).sum(1) < closest**2
    if bool(too_close.any()):
        pair = int(torch.nonzero(too_close)[0])
        i, j = int(first[pair]), int(second[pair])
        number = 0
        while i >= len(systems[number]):
            i, j = i - len(systems[number]), j - len(systems[number])
            number += 1
        raise ValueError(
            f"structure {number} of those to predict has atoms {i} and {j} at a "
            f"distance of {float(vectors[pair].norm())}, and less than {closest} is "
            "refused: no model knows such structures"
        )


def atom_labels(systems: List[System]) -> Labels:
    """Labels ``(system, atom)`` of all atoms of the structures, in order."""
    values: List[torch.Tensor] = []
    for i, system in enumerate(systems):
        atoms = torch.arange(len(system), device=system.device, dtype=torch.int32)
        values.append(torch.stack([torch.full_like(atoms, i), atoms], dim=1))
    return Labels(["system", "atom"], torch.cat(values))


def types_of_samples(systems: List[System], samples: Labels) -> torch.Tensor:
    """The types of some atoms of the structures.

    :param systems: structures.
    :param samples: labels ``(system, atom)``.
    :return: ``(samples,)``
    """
    types = torch.cat([system.types for system in systems])
    return types[atom_labels(systems).to(samples.device).select(samples)]


def neighbor_pairs(
    systems: List[System], options: NeighborListOptions
) -> Tuple[torch.Tensor, torch.Tensor, List[torch.Tensor]]:
    """The pairs of a neighbor list.

    :param systems: structures, with the neighbor list; their atoms are stacked.
    :param options: which neighbor list.
    :return: indices of the first and of the second atoms, ``(pairs,)``, and for every
        structure the cell shifts of the second atoms, ``(its pairs, 3)``.
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
    return first, second, shifts


def pair_vectors(
    systems: List[System],
    first: torch.Tensor,
    second: torch.Tensor,
    shifts: List[torch.Tensor],
) -> torch.Tensor:
    """Vectors from the first to the second atoms of pairs.

    From the positions, since the vectors of neighbor lists have first derivatives only.

    :param systems: structures, whose atoms are stacked.
    :param first: see :func:`neighbor_pairs`, as are the other two.
    :return: ``(pairs, 3)``
    """
    positions = torch.cat([system.positions for system in systems])
    shift_vectors: List[torch.Tensor] = []
    for i, system in enumerate(systems):
        shift_vectors.append(shifts[i] @ system.cell)
    # unlike indexing, index_select has a fast backward pass
    vectors = positions.index_select(0, second) - positions.index_select(0, first)
    return vectors + torch.cat(shift_vectors)


def edge_vectors(
    systems: List[System], options: NeighborListOptions
) -> Tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The edges of a neighbor list.

    :param systems: structures, with the neighbor list; their atoms are stacked.
    :param options: which neighbor list.
    :return: vectors from the first to the second atom, ``(edges, 3)``, and the indices
        of the first and of the second atoms, ``(edges,)``.
    """
    first, second, shifts = neighbor_pairs(systems, options)
    return pair_vectors(systems, first, second, shifts), first, second
