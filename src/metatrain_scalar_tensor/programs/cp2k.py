"""CP2K: structure, energy, dipole and polarizability."""

import re
from pathlib import Path
from typing import Dict, Tuple

import ase
import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator
from ase.units import Debye, Hartree


NUMBER = r"([-+]?\d+\.\d+(?:E[-+]\d+)?)"


def read(path: Path, text: str) -> Tuple[ase.Atoms, Dict[str, np.ndarray]]:
    """Read an output file, which ASE does not.

    :param path: the file.
    :param text: its content.
    :return: the structure of its header with the energy, and tensors.
    :raises ValueError: if there is no structure, or are several.
    """
    energies = re.findall(
        rf"ENERGY\| Total FORCE_EVAL.*?\s{NUMBER}\s*$", text, re.MULTILINE
    )
    if len(energies) > 1:
        raise ValueError(
            f"it has {len(energies)} energies, but the first structure only: calculate "
            "structures of optimisations and dynamics one by one (RUN_TYPE ENERGY)"
        )
    _, *tables = re.split("ATOMIC COORDINATES IN ANGSTROM", text, flags=re.IGNORECASE)
    coordinates = re.findall(
        r"^\s+\d+\s+\d+\s+([A-Z][a-z]?)\s+\d+" + rf"\s+{NUMBER}" * 3,
        "".join(tables),
        re.MULTILINE,
    )
    if not coordinates:
        raise ValueError("it has no 'ATOMIC COORDINATES IN ANGSTROM'")
    symbols, *positions = zip(*coordinates)
    vectors = re.findall(
        rf"CELL\| Vector [abc].*?:\s+{NUMBER}\s+{NUMBER}\s+{NUMBER}", text
    )
    periodicity = re.findall(r"CELL\| Periodicity\s+(\w+)", text) or ["XYZ"]
    atoms = ase.Atoms(
        symbols,
        np.array(positions, dtype=float).T,
        cell=np.array(vectors[:3], dtype=float) if vectors else None,
        pbc=[axis in periodicity[0] and bool(vectors) for axis in "XYZ"],
    )
    tensors: Dict[str, np.ndarray] = {}
    for xyz in re.findall(
        rf"Dipole moment \[Debye\]\s+X=\s*{NUMBER}\s+Y=\s*{NUMBER}\s+Z=\s*{NUMBER}",
        text,
    ):
        tensors["mu"] = np.array(xyz, dtype=float) * Debye
    for rows in re.findall(
        r"POLARIZABILITY TENSOR \(Angstrom\^3\):\s*\n((?:.*\n){3})", text
    ):
        alpha = np.zeros((3, 3))
        for row in rows.splitlines():  # "xx,yy,zz  8.25  6.66  5.31"
            names, *values = row.split()[-4:]
            for name, value in zip(names.split(","), values):
                alpha["xyz".index(name[0]), "xyz".index(name[1])] = float(value)
        tensors["alpha"] = alpha
    if energies:
        atoms.calc = SinglePointCalculator(atoms, energy=float(energies[0]) * Hartree)
    return atoms, tensors
