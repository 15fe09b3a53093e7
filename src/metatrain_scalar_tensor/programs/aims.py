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


def read(path: Path, text: str) -> Tuple[ase.Atoms, Dict[str, np.ndarray]]:
    """Read an output file.

    :param path: the file.
    :param text: its content.
    :return: the last structure with ASE's results, and further tensors.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # the reader will be a plugin
        atoms: Any = ase.io.read(path, format="aims-output")
    tensors: Dict[str, np.ndarray] = {}
    for line in re.findall(r"\| Polarizability:--->(.*)", text):
        # F10.5: numbers of a hundred and more have no space before them
        six = re.findall(r"-?\d+\.\d{1,5}", line)
        alpha = symmetric_matrix(six, "xx yy zz xy xz yz")
        tensors["alpha"] = alpha * Bohr**3
    return atoms, tensors
