"""FHI-aims: polarizabilities beside what ASE reads."""

import re
import warnings
from pathlib import Path
from typing import Any, Dict, Tuple

import ase
import ase.io
import numpy as np
from ase.units import Bohr

from .symmetric import symmetric_matrix
from .text import charge_and_spin, check_finished, last_part


def read(path: Path, text: str) -> Tuple[ase.Atoms, Dict[str, np.ndarray]]:
    """Read an output file.

    :param path: the file.
    :param text: its content.
    :return: the last structure with ASE's results, and further tensors.
    :raises ValueError: if the calculation did not finish, or did not converge.
    """
    check_finished(text, "Have a nice day.", "SELF-CONSISTENCY CYCLE DID NOT CONVERGE")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # the reader will be a plugin
        atoms: Any = ase.io.read(path, format="aims-output")
    atoms.info |= charge_and_spin(text, charge=r"Charge =\s*([-+.\dE]+):")
    tensors: Dict[str, np.ndarray] = {}
    last = last_part(text, r"Begin self-consistency (?:loop|iteration #\s+1\b)")
    for line in re.findall(r"\| Polarizability:--->(.*)", last):
        # F10.5: numbers of a hundred and more have no space before them
        six = re.findall(r"-?\d+\.\d{1,5}", line)
        alpha = symmetric_matrix(six, "xx yy zz xy xz yz")
        tensors["alpha"] = alpha * Bohr**3
    return atoms, tensors
