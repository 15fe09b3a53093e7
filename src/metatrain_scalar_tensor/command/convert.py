"""Gives symmetric tensors an axis for every index: nine numbers instead of six."""

from pathlib import Path
from typing import Any, Dict, List, Tuple

import numpy as np

from ..programs.symmetric import FULL_SIZES, VOIGT, full_tensors
from .files import check_folder, read_frames, write_frames


ORDERS: Dict[str, Tuple[str, ...]] = {
    "voigt": VOIGT,
    "vasp": ("xx", "yy", "zz", "xy", "yz", "xz"),
    "cp2k": ("xx", "yy", "zz", "xy", "xz", "yz"),
}
"""ASE's stress also has the order ``voigt``, GPUMD's TNEP ``vasp``, LAMMPS ``cp2k``."""


def convert(file: Path, output: Path, keys: List[str], order: str) -> None:
    """Write a file in which symmetric tensors have all their numbers.

    That is 9 of 6, 27 of 18 for piezoelectric tensors (3 × 6), and 81 of 36 for elastic
    ones (6 × 6), without factors: :mod:`..programs.symmetric`.

    :param file: extxyz file with 6, 18 or 36 numbers for each tensor.
    :param output: the file to write; everything else is copied.
    :param keys: names of the tensors, of structures or of atoms. Structures without
        them, or with all numbers already, do not change.
    :param order: one of :data:`ORDERS`.
    :raises ValueError: if no structure has a key, or a tensor has another number of
        numbers, or a file can't be read or written.
    :raises OSError: if a file can't be found.
    """
    check_folder(output)
    frames = read_frames(file)
    for key in keys:
        number = 0
        for i, atoms in enumerate(frames):
            of: Any  # info and arrays
            for of, shape in ((atoms.info, ()), (atoms.arrays, (len(atoms),))):
                if key in of:
                    number += 1
                    values = np.asarray(of[key])
                    size, rest = divmod(values.size, int(np.prod(shape)))
                    if rest == 0 and size in FULL_SIZES:
                        numbers = values.reshape(*shape, size)
                        full = full_tensors(numbers, ORDERS[order])
                        if full.ndim > 2:  # files have no more than two axes
                            full = full.reshape(*shape, FULL_SIZES[size])
                        of[key] = full
                    elif rest > 0 or size not in FULL_SIZES.values():
                        raise ValueError(
                            f"structure {i} of '{file}' has values of shape "
                            f"{values.shape} under '{key}', and 6, 18 or 36 numbers "
                            f"are expected{' for every atom' * (of is atoms.arrays)}"
                        )
        if number == 0:
            raise ValueError(f"no structure of '{file}' has the key '{key}'")
    write_frames(output, frames)
