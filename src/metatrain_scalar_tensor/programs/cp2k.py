"""CP2K: structure, energy, dipole and polarizability."""

import re
import warnings
from pathlib import Path
from typing import Dict, Tuple

import ase
import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator
from ase.units import Debye, Hartree

from .text import charge_and_spin, check_finished


NUMBER = r"([-+]?\d+\.\d+(?:E[-+]\d+)?)"


def read(path: Path, text: str) -> Tuple[ase.Atoms, Dict[str, np.ndarray]]:
    """Read an output file, which ASE does not.

    :param path: the file.
    :param text: its content.
    :return: the structure of its header with the energy, and tensors.
    :raises ValueError: if there is no structure, or are several, or the calculation did
        not finish.
    """
    failures = ("SCF run NOT converged", "SCF loop FAILED to converge")
    check_finished(text, "PROGRAM ENDED AT", *failures)
    energies = re.findall(
        rf"ENERGY\| Total FORCE_EVAL.*?\s{NUMBER}\s*$", text, re.MULTILINE
    )
    if len(energies) != 1:
        raise ValueError(
            f"it has {len(energies)} energies, but the first structure only: calculate "
            "structures of optimisations and dynamics one by one (RUN_TYPE ENERGY)"
        )
    _, *tables = re.split("ATOMIC COORDINATES IN ANGSTROM", text, flags=re.IGNORECASE)
    coordinates = re.findall(
        r"^\s+\d+\s+\d+\s+([A-Z][a-z]?)\s+\d+" + rf"\s+{NUMBER}" * 4,
        "".join(tables),
        re.MULTILINE,
    )
    if not coordinates:
        raise ValueError("it has no 'ATOMIC COORDINATES IN ANGSTROM'")
    symbols, x, y, z, cores = zip(*coordinates)
    if min(map(float, cores)) == 0.0:
        raise ValueError("it has ghost atoms, without electrons or nuclei (Z(eff) = 0)")
    vectors = re.findall(
        r"CELL\| Vector [abc].*?:" + rf"\s+{NUMBER}" * 3 + rf"\s+\|.\|\s*=\s*{NUMBER}",
        text,
    )
    periodicity = re.findall(r"CELL\| Periodicity\s+(\w+)", text) or ["XYZ"]
    cell = np.array(vectors[:3], dtype=float)  # a, b, c with their lengths, (3, 4)
    if vectors:  # lengths have more digits than components
        cell = cell[:, :3] * (
            cell[:, 3:] / np.linalg.norm(cell[:, :3], axis=1)[:, None]
        )
    atoms = ase.Atoms(
        symbols,
        np.array([x, y, z], dtype=float).T,
        cell=cell if vectors else None,
        pbc=[axis in periodicity[0] and bool(vectors) for axis in "XYZ"],
    )
    atoms.info |= charge_and_spin(
        text,
        charge=r"DFT\| Charge\s+(-?\d+)",
        spin_multiplicity=r"DFT\| Multiplicity\s+(\d+)",
    )
    tensors: Dict[str, np.ndarray] = {}
    for xyz in re.findall(
        rf"Dipole moment \[Debye\]\s+X=\s*{NUMBER}\s+Y=\s*{NUMBER}\s+Z=\s*{NUMBER}",
        text,
    ):
        tensors["mu"] = np.array(xyz, dtype=float) * Debye
    if tensors and "periodic (Berry phase) operator" in text:
        del tensors["mu"]
        warnings.warn(
            "dipoles of CP2K's Berry phase are left out: they are known up to "
            "multiples of the cell vectors only. For molecules, set PERIODIC FALSE in "
            "&MOMENTS",
            stacklevel=2,
        )
    for rows in re.findall(
        r"POLAR\| Polarizability tensor \[ang\^3\]\s*\n((?:.*\n){3})", text
    ):
        alpha = np.zeros((3, 3))
        for row in rows.splitlines():  # "POLAR| xx,yy,zz  8.25  6.66  5.31"
            names, *values = row.split()[-4:]
            for name, value in zip(names.split(","), values):
                alpha["xyz".index(name[0]), "xyz".index(name[1])] = float(value)
        tensors["alpha"] = alpha
    atoms.calc = SinglePointCalculator(atoms, energy=float(energies[0]) * Hartree)
    return atoms, tensors
