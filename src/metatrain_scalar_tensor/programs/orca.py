"""ORCA: polarizabilities and shieldings beside what ASE reads."""

import re
from io import StringIO
from pathlib import Path
from typing import Any, Dict, Tuple

import ase
import ase.io
import numpy as np
from ase.units import Bohr

from .text import charge_and_spin, check_finished, last_part


# The first lines of the blocks of ORCA 5 and 6; others are of other multipoles, of the
# velocity gauge, or of finite frequencies
POLARIZABILITY = (
    r"^(?:THE|STATIC) POLARIZABILITY TENSOR(?: \(Dipole/Dipole\))?\s*\n"
    r"(?:(?!.*POLARIZABILITY TENSOR).*\n){1,15}?"
    r".*raw cartesian tensor \(atomic units\):\s*\n((?:.*\n){3})"
)


def read(path: Path, text: str) -> Tuple[ase.Atoms, Dict[str, np.ndarray]]:
    """Read an output file.

    :param path: the file.
    :param text: its content.
    :return: the last structure with ASE's results, and further tensors. Dipoles are as
        ORCA prints them, with respect to the center of mass.
    :raises ValueError: if the calculation did not finish.
    """
    last = last_part(text, r"CARTESIAN COORDINATES \(ANGSTROEM\)")
    check_finished(
        last, "ORCA TERMINATED NORMALLY", "not fully converged", "SCF NOT CONVERGED"
    )
    # ASE would move the dipoles of ions from the center of mass to the origin
    as_printed = last.replace("The origin for moment calculation", "")
    atoms: Any = ase.io.read(StringIO(as_printed), format="orca-output")
    atoms.info |= charge_and_spin(
        text,
        charge=r"Total Charge\s+Charge\s+\.+\s+(-?\d+)",
        spin_multiplicity=r"Multiplicity\s+Mult\s+\.+\s+(\d+)",
    )
    tensors: Dict[str, np.ndarray] = {}
    for rows in re.findall(POLARIZABILITY, last, re.MULTILINE):
        tensors["alpha"] = matrix(rows) * Bohr**3
    shieldings = re.findall(
        r"Nucleus\s+(\d+)\s*[A-Z][a-z]?\s*:(?:.*\n)+?"
        r"\s*Total shielding tensor \(ppm\):\s*\n((?:.*\n){3})",
        last,
    )
    if shieldings:
        tensors["shielding"] = np.full((len(atoms), 3, 3), np.nan)  # not computed
        for atom, rows in shieldings:
            tensors["shielding"][int(atom)] = matrix(rows)
    return atoms, tensors


def matrix(rows: str) -> np.ndarray:
    """Three lines of three numbers."""
    return np.array(rows.split(), dtype=float).reshape(3, 3)
