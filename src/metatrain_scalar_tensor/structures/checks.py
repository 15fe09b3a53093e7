"""Structures that no model can be right for."""

from typing import List

import torch
from metatomic.torch import System, unit_conversion_factor


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
