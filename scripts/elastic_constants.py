r"""Make ``data/elastic.xyz``: elastic constants of alloys, with ASE's EMT potential.

::

    python scripts/elastic_constants.py data/elastic.xyz

Random alloys of copper, silver and gold on an fcc lattice, with 4 or 8 atoms in the
cell. Cell and positions are relaxed, and the crystal is turned at random. The constants
are those of clamped ions,

.. math::
    c_{ijkl} = \frac{\partial \sigma_{ij}}{\partial \varepsilon_{kl}},

by central differences, in eV/Å³.
"""

import argparse
from pathlib import Path

import ase
import ase.build
import ase.io
import numpy as np
from ase.calculators.emt import EMT
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS
from scipy.spatial.transform import Rotation


NUMBER = 120
ELEMENTS = ["Cu", "Ag", "Au"]
STRAIN = 1e-3


def alloy(rng: np.random.Generator) -> ase.Atoms:
    """A relaxed crystal, turned at random."""
    atoms = ase.build.bulk("Cu", a=3.9, cubic=True)
    atoms = atoms.repeat((int(rng.integers(1, 3)), 1, 1))
    atoms.symbols = rng.choice(ELEMENTS, len(atoms))
    atoms.calc = EMT()
    BFGS(FrechetCellFilter(atoms), logfile=None).run(fmax=1e-5, steps=500)
    matrix = Rotation.random(rng=rng).as_matrix()
    return ase.Atoms(
        atoms.symbols, atoms.positions @ matrix.T, cell=atoms.cell @ matrix.T, pbc=True
    )


def elastic_constants(atoms: ase.Atoms) -> np.ndarray:
    """The elastic tensor in eV/Å³, ``(3, 3, 3, 3)``."""
    tensor = np.zeros((3, 3, 3, 3))
    for k, l in np.ndindex(3, 3):
        for sign in (1, -1):
            strain = np.eye(3)
            strain[k, l] += 0.5 * sign * STRAIN
            strain[l, k] += 0.5 * sign * STRAIN
            strained = atoms.copy()
            strained.set_cell(atoms.cell @ strain, scale_atoms=True)
            strained.calc = EMT()
            stress = strained.get_stress(voigt=False)
            tensor[:, :, k, l] += sign * stress / (2 * STRAIN)
    # without stress, the tensor is symmetric up to terms of the second order
    return 0.5 * (tensor + tensor.transpose(2, 3, 0, 1))


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    output = parser.parse_args().output
    rng = np.random.default_rng(0)
    frames = []
    for _ in range(NUMBER):
        atoms = alloy(rng)
        atoms.info["elastic"] = elastic_constants(atoms).round(6).flatten()
        atoms.calc = None
        frames.append(atoms)
    ase.io.write(output, frames)


if __name__ == "__main__":
    main()
