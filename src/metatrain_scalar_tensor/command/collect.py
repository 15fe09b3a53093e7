"""Writes the results of electronic-structure programs into one file of data."""

import sys
import warnings
from collections import Counter
from pathlib import Path
from typing import List

import ase

from ..programs import TENSORS, read_output
from ..progress import progress
from .files import check_folder, write_frames


OF_ELECTRONS = {"charge": "e", "spin_multiplicity": "2S + 1"}
RESULTS = {"energy": "eV", "forces": "eV/A", "stress": "eV/A^3"}


def collect(files: List[Path], output: Path, quiet: bool = False) -> None:
    """Write the structures of output files, with energies, forces and tensors.

    Files that can't be read, such as those of calculations that failed, are left out
    and listed.

    :param files: one output file for each structure.
    :param output: the extxyz file to write.
    :param quiet: whether to show no progress bar.
    :raises ValueError: if no file can be understood, or the output can't be written.
    :raises OSError: if a file can't be found.
    """
    check_folder(output)
    frames: List[ase.Atoms] = []
    left_out: List[str] = []
    remarks: Counter[str] = Counter()
    for file in progress(files, "files", quiet):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                frames.append(read_output(file))
            except ValueError as error:
                left_out.append(str(error))
        remarks.update({str(warning.message) for warning in caught})
    if not frames:
        raise ValueError("no file can be read:\n" + "\n".join(left_out))
    write_frames(output, frames)
    print(f"{len(frames)} structures in {output}")
    for key, what in {**RESULTS, **OF_ELECTRONS, **TENSORS}.items():
        number = sum(
            key in {**frame.info, **frame.arrays, **frame.calc.results}
            for frame in frames
        )
        if number:
            print(f"{key:17s}{number:6d}  {what}")
    for remark, number in remarks.items():
        print(f"{number} files: {remark}", file=sys.stderr)
    if left_out:
        print(f"{len(left_out)} files are left out:", file=sys.stderr)
        print("\n".join(left_out), file=sys.stderr)
