"""ORCA: polarizabilities and shieldings beside what ASE reads."""

import re
from pathlib import Path
from typing import Any, Dict, Tuple

import ase
import ase.io
import numpy as np
from ase.units import Bohr


def read(path: Path, text: str) -> Tuple[ase.Atoms, Dict[str, np.ndarray]]:
    """Read an output file.

    :param path: the file.
    :param text: its content.
    :return: the last structure with ASE's results, and further tensors.
    """
    atoms: Any = ase.io.read(path, format="orca-output")
    tensors: Dict[str, np.ndarray] = {}
    polarizabilities = re.findall(
        r"(POLARIZABILITY TENSOR.*)\n(?:.*\n){1,4}?"
        r".*raw cartesian tensor \(atomic units\):\s*\n((?:.*\n){3})",
        text,
        re.IGNORECASE,
    )
    for heading, rows in polarizabilities:
        if "velocity" not in heading.lower():  # another gauge
            tensors["alpha"] = matrix(rows) * Bohr**3
    shieldings = re.findall(
        r"Nucleus\s+(\d+)\s*[A-Z][a-z]?\s*:(?:.*\n)+?"
        r"\s*Total shielding tensor \(ppm\):\s*\n((?:.*\n){3})",
        text,
    )
    if shieldings:
        tensors["shielding"] = np.full((len(atoms), 3, 3), np.nan)  # not computed
        for atom, rows in shieldings:
            tensors["shielding"][int(atom)] = matrix(rows)
    return atoms, tensors


def matrix(rows: str) -> np.ndarray:
    """Three lines of three numbers."""
    return np.array(rows.split(), dtype=float).reshape(3, 3)
