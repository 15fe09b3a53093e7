"""Checks for structures that no model can describe."""

from typing import List

import torch
from metatomic.torch import System, unit_conversion_factor


def closest_distance(length_unit: str) -> float:
    """The smallest plausible distance of two atoms: 0.1 Å.

    Nuclei come that close only at energies of 100 eV and more: in data it is a mistake.

    :param length_unit: unit of the structures; if empty, the result is 0.01, which is
        too close in any common unit (such as nm).
    """
    if length_unit == "":
        return 0.01
    return 0.1 * unit_conversion_factor("angstrom", length_unit)


def is_finite(system: System) -> bool:
    """Whether positions and cell of a structure are finite."""
    return bool(torch.cat([system.positions, system.cell]).isfinite().all())


def check_finite(systems: List[System]) -> None:
    """Refuse structures with NaN or infinite positions or cells.

    :raises ValueError: with the number of the first such structure.
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

    :param systems: structures, whose atoms are stacked in order.
    :param vectors: vectors of the neighbor list, ``(entries, 3)``
    :param first: first atom of each entry, ``(entries,)``
    :param second: second atom of each entry, ``(entries,)``
    :param closest: smallest distance that is accepted.
    :raises ValueError: with the numbers of the structure and of the atoms.
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
