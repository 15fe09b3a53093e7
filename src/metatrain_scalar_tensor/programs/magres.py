"""Magres files of CASTEP and Quantum ESPRESSO: shieldings, which ASE reads."""

from pathlib import Path
from typing import Any, Dict, Tuple

import ase
import ase.io
import numpy as np


def read(path: Path, text: str) -> Tuple[ase.Atoms, Dict[str, np.ndarray]]:
    """Read a magres file.

    :param path: the file.
    :param text: its content.
    :return: the structure, and its shieldings.
    """
    atoms: Any = ase.io.read(path, format="magres")
    if "ms" not in atoms.arrays:
        return atoms, {}
    shieldings = np.array(atoms.arrays["ms"].tolist(), dtype=float)
    return atoms, {"shielding": shieldings.reshape(-1, 3, 3)}
