"""VASP: Born charges, which ASE reads from ``vasprun.xml``."""

from pathlib import Path
from typing import Any, Dict, Tuple

import ase
import ase.io
import numpy as np


def read(path: Path, text: str) -> Tuple[ase.Atoms, Dict[str, np.ndarray]]:
    """Read ``vasprun.xml``.

    The rows of Born charges are the responses to a field along x, y and z. Dipoles are
    left out: their sign could not be checked.

    :param path: the file.
    :param text: its content.
    :return: the last structure with ASE's results, and Born charges.
    """
    atoms: Any = ase.io.read(path, format="vasp-xml")
    atoms.calc.results.pop("dipole", None)
    charges = atoms.calc.results.get("born_effective_charges")
    return atoms, {} if charges is None else {"bec": charges}
