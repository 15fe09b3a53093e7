"""Gaussian: polarizabilities and shieldings beside what ASE reads."""

import re
from io import StringIO
from pathlib import Path
from typing import Any, Dict, Tuple

import ase
import ase.io
import numpy as np
from ase.units import Bohr

from .symmetric import symmetric_matrix
from .text import charge_and_spin, check_finished, last_part


END = "Normal termination of Gaussian"


def read(path: Path, text: str) -> Tuple[ase.Atoms, Dict[str, np.ndarray]]:
    """Read an output file of a calculation with ``NoSymm``.

    :param path: the file.
    :param text: its content.
    :return: the last structure of the last job with ASE's results, and further tensors.
    :raises ValueError: if the last job did not finish, or if the molecule was turned
        into the standard orientation, in which tensors would not belong to the
        structure that ASE reads.
    """
    if "Standard orientation:" in text:
        raise ValueError(
            "Gaussian has turned the molecule into its standard orientation, in which "
            "forces and structure may not be: run it with NoSymm"
        )
    last = last_part(text, r"(?:Input|Z-Matrix) orientation:")
    check_finished(last, END, "Convergence failure")
    # ASE reads the first job of a file
    job = text[max(text.rfind(END, 0, -len(last)), 0) :]
    atoms: Any = ase.io.read(StringIO(job), format="gaussian-out")
    atoms.info |= charge_and_spin(
        text,
        charge=r"Charge =\s*(-?\d+) Multiplicity",
        spin_multiplicity=r"Multiplicity =\s*(\d+)",
    )
    tensors: Dict[str, np.ndarray] = {}
    for line in re.findall(r"Exact polarizability:(.*)", last):
        # in columns, which may be without a space between them
        six = re.findall(r"-?\d+\.\d{3}", line)
        alpha = symmetric_matrix(six, "xx xy yy xz yz zz")
        tensors["alpha"] = alpha * Bohr**3
    shieldings = re.findall(
        r"^\s+(\d+)\s+[A-Z][a-z]?\s+Isotropic\s*=.*\n((?:.*\n){3})", last, re.MULTILINE
    )
    if shieldings:
        tensors["shielding"] = np.full((len(atoms), 3, 3), np.nan)  # not computed
        for atom, rows in shieldings:
            for i, j, value in re.findall(r"([XYZ])([XYZ])=\s*(-?\d+\.\d+)", rows):
                place = (int(atom) - 1, "XYZ".index(i), "XYZ".index(j))
                tensors["shielding"][place] = float(value)
    return atoms, tensors
