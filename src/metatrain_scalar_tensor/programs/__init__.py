"""Tensors from the output files of electronic-structure programs.

ASE reads structures, energies and forces of these files, and some of the tensors; the
modules of this folder, one for each program, add those that it does not read. All have
the same keys, units and index orders, in :data:`TENSORS`.
"""

import warnings
from pathlib import Path
from typing import Callable, Dict, Tuple

import ase
import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator

from . import aims, cp2k, gaussian, magres, orca, vasp


Tensors = Dict[str, np.ndarray]

TENSORS = {
    "mu": "dipole, e*A",
    "alpha": "polarizability, A^3",
    "bec": "Born effective charges, e: rows are the field, columns the displacement",
    "shielding": "magnetic shieldings, ppm: as the program prints them",
}
"""Keys of ``atoms.info`` and ``atoms.arrays``, and what they are. Matrices have nine
numbers, xx xy xz yx ... zz."""

# What a file of the program has in it
READERS: Dict[str, Callable[[Path, str], Tuple[ase.Atoms, Tensors]]] = {
    "CP2K|": cp2k.read,
    "* O   R   C   A *": orca.read,
    "Entering Gaussian System": gaussian.read,
    "Invoking FHI-aims": aims.read,
    "<modeling>": vasp.read,
    "#$magres-abinitio": magres.read,
}


def read_output(path: Path) -> ase.Atoms:
    """Read the last structure of an output file, with its tensors.

    :param path: output of ORCA, Gaussian, CP2K or FHI-aims, ``vasprun.xml`` of VASP, or
        a magres file.
    :return: the structure with :data:`TENSORS`, charge and spin multiplicity where the
        file says them, and energy, forces and stress as ASE has them: the energy is the
        one whose derivatives the forces are, with the entropy of a smearing.
    :raises OSError: if the file can't be read.
    :raises ValueError: if it is none of these, has no structure or ghost atoms, did not
        finish or converge, or its tensors and structure are in different orientations.
    """
    text = path.read_text(errors="replace")
    readers = [read for mark, read in READERS.items() if mark in text]
    if not readers:
        raise ValueError(
            f"'{path}' is no output of ORCA, Gaussian, CP2K, FHI-aims or VASP "
            "(vasprun.xml), and no magres file"
        )
    try:
        found, tensors = readers[0](path, text)
        if (found.numbers == 0).any():
            raise ValueError("it has ghost atoms")
    except Exception as error:  # of ASE's readers, of any kind
        raise ValueError(f"'{path}' can't be read: {error}") from error
    atoms = ase.Atoms(found.symbols, found.positions, cell=found.cell, pbc=found.pbc)
    atoms.info |= found.info
    results = {} if found.calc is None else found.calc.results
    if results.get("dipole") is not None:
        tensors["mu"] = results["dipole"]
    if "mu" in tensors and found.info.get("charge") and readers[0] is not orca.read:
        del tensors["mu"]
        warnings.warn(
            "dipoles of charged structures are left out, because the point that they "
            "refer to is not known, except for ORCA (the center of mass)",
            stacklevel=2,
        )
    kept = {k: results.get(k) for k in ("energy", "forces", "stress")}
    if results.get("free_energy") is not None:
        kept["energy"] = results["free_energy"]
    atoms.calc = SinglePointCalculator(atoms, **kept)
    for key, values in tensors.items():
        if values.ndim == 3:
            atoms.arrays[key] = values.reshape(len(atoms), 9)
        else:
            atoms.info[key] = values.ravel()
    return atoms
