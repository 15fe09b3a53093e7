"""A neuroevolution potential with random weights, for comparisons of time.

The potential of Fan et al., `JCP 157, 114801 (2022)
<https://doi.org/10.1063/5.0106617>`_, evaluated by ``calorine`` on the CPU: compiled
code in float64 with its own neighbor list. Needs ``pip install calorine`` and a
compiler of C++.
"""

from pathlib import Path

import ase
import numpy as np
from ase.calculators.calculator import Calculator


CUTOFF = 5.0  # Å, for radial and angular functions; otherwise GPUMD's defaults:
MAX_RADIAL, BASIS_SIZE = 4, 8  # of both kinds, counted from 0
MAX_ANGULAR, FOUR_BODY, FIVE_BODY = 4, 2, 1
NUM_NEURONS = 30


def random_potential(frame: ase.Atoms, path: Path) -> Calculator:
    """Write a potential for the elements of a structure.

    :param frame: the structure.
    :param path: file to write.
    :return: a calculator that reads the file when it is first used.
    :raises ImportError: if calorine is not installed.
    """
    from calorine.calculators import CPUNEP

    symbols = sorted(set(frame.get_chemical_symbols()))
    num_types, num_radial = len(symbols), MAX_RADIAL + 1
    num_angular = MAX_ANGULAR + (FOUR_BODY > 0) + (FIVE_BODY > 0)
    num_inputs = num_radial * (1 + num_angular)
    num_weights = (num_inputs + 2) * NUM_NEURONS * num_types + 1
    num_coefficients = num_types**2 * 2 * num_radial * (BASIS_SIZE + 1)
    weights = 0.1 * np.random.default_rng(0).normal(size=num_weights + num_coefficients)
    lines = [
        f"nep4 {num_types} {' '.join(symbols)}",
        f"cutoff {CUTOFF} {CUTOFF} 200 200",  # and the largest numbers of neighbors
        f"n_max {MAX_RADIAL} {MAX_RADIAL}",
        f"basis_size {BASIS_SIZE} {BASIS_SIZE}",
        f"l_max {MAX_ANGULAR} {FOUR_BODY} {FIVE_BODY}",
        f"ANN {NUM_NEURONS} 0",
        *(f"{weight:.7e}" for weight in weights),
        *(["1.0"] * num_inputs),  # scales of the inputs
    ]
    path.write_text("\n".join(lines) + "\n")
    return CPUNEP(str(path))
