"""Positions of atoms in their molecules."""

from typing import List

import torch
from metatomic.torch import System


def positions_in_molecules(systems: List[System]) -> torch.Tensor:
    """Positions relative to their mean in every structure.

    :param systems: structures that are not periodic.
    :return: ``(atoms, 3)``
    :raises ValueError: if a structure is periodic: its atoms have no unique positions.
    """
    positions: List[torch.Tensor] = []
    for i, system in enumerate(systems):
        if bool(system.pbc.any()):
            raise ValueError(
                f"structure {i} is periodic, and charges times positions are for "
                "molecules: set its periodic boundary conditions to false, or train "
                "without 'model.charges'"
            )
        positions.append(system.positions - system.positions.mean(0, keepdim=True))
    return torch.cat(positions)
