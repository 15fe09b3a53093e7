"""VASP: Born charges, which ASE reads from ``vasprun.xml``."""

import re
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
    :raises ValueError: if the last structure is not converged: it took all the steps
        that ``NELM`` allows.
    """
    allowed = re.search(r'name="NELM">\s*(\d+)', text)
    steps = text.rpartition("<calculation>")[2].count("<scstep>")
    if allowed and 1 < int(allowed[1]) <= steps:
        raise ValueError(
            f"the calculation failed: self-consistency was not reached in {steps} steps"
        )
    atoms: Any = ase.io.read(path, format="vasp-xml")
    atoms.calc.results.pop("dipole", None)
    charges = atoms.calc.results.get("born_effective_charges")
    return atoms, {} if charges is None else {"bec": charges}
