"""Writes the results of electronic-structure programs into one file of data."""

from pathlib import Path
from typing import List

import ase.io

from ..programs import TENSORS, read_output
from ..progress import progress


def collect(files: List[Path], output: Path, quiet: bool = False) -> None:
    """Write the structures of output files, with energies, forces and tensors.

    :param files: one output file for each structure.
    :param output: the extxyz file to write.
    :param quiet: whether to show no progress bar.
    :raises ValueError: if a file can't be understood.
    :raises OSError: if a file can't be read or written.
    """
    frames = [read_output(file) for file in progress(files, "files", quiet)]
    ase.io.write(output, frames, format="extxyz")
    print(f"{len(frames)} structures in {output}")
    energies = {"energy": "eV", "forces": "eV/A", "stress": "eV/A^3"}
    for key, what in {**energies, **TENSORS}.items():
        number = sum(
            key in frame.info or key in frame.arrays or key in frame.calc.results
            for frame in frames
        )
        if number:
            print(f"{key:10s}{number:6d}  {what}")
