"""Converts symmetric tensors of six numbers to nine."""

from pathlib import Path
from typing import Any, Dict, List, Tuple

import ase.io
import numpy as np

from ..programs.symmetric import nine_of_six


ORDERS: Dict[str, Tuple[str, ...]] = {
    "voigt": ("xx", "yy", "zz", "yz", "xz", "xy"),
    "vasp": ("xx", "yy", "zz", "xy", "yz", "xz"),
    "cp2k": ("xx", "yy", "zz", "xy", "xz", "yz"),
}
"""ASE's stress also has the order ``voigt``, GPUMD's TNEP ``vasp``, LAMMPS ``cp2k``."""


def convert(file: Path, output: Path, keys: List[str], order: str) -> None:
    """Write a file in which symmetric tensors have all nine numbers.

    :param file: extxyz file with six numbers for each tensor.
    :param output: the file to write; everything else is copied.
    :param keys: names of the tensors, of structures or of atoms. Structures without
        them, or with nine numbers already, do not change.
    :param order: one of :data:`ORDERS`.
    :raises ValueError: if no structure has a key, or a tensor has neither six nor nine
        numbers.
    :raises OSError: if a file can't be read or written.
    """
    frames = ase.io.read(file, ":")
    nine = nine_of_six(ORDERS[order])
    for key in keys:
        number = 0
        for i, atoms in enumerate(frames):
            of: Any  # info and arrays
            for of, shape in ((atoms.info, (3, 3)), (atoms.arrays, (len(atoms), 9))):
                if key in of:
                    number += 1
                    values = np.asarray(of[key])
                    if values.shape[-1:] == (6,):
                        of[key] = values[..., nine].reshape(shape)
                    elif values.shape not in (shape, (9,), (len(atoms), 3, 3)):
                        raise ValueError(
                            f"structure {i} of '{file}' has values of shape "
                            f"{values.shape} under '{key}', and six numbers are "
                            f"expected{' for every atom' * (of is atoms.arrays)}"
                        )
        if number == 0:
            raise ValueError(f"no structure of '{file}' has the key '{key}'")
    ase.io.write(output, frames, format="extxyz")
