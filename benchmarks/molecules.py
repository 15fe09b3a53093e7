"""Trajectories of small molecules at 500 K, with energies and forces of GFN2-xTB.

Like the rMD17 sets: one molecule each, structures from molecular dynamics, to be
divided at random. The method is cheap, so that the sets can be made anew anywhere
(Bannwarth, Ehlert and Grimme, `JCTC 15, 1652 (2019)
<https://doi.org/10.1021/acs.jctc.8b01176>`_). Needs ``pip install tblite``.

::

    python benchmarks/molecules.py FOLDER     # ethanol.xyz, benzene.xyz, ...
"""

import argparse
from pathlib import Path

import ase
import ase.build
import ase.io
import numpy as np
from ase import units
from ase.calculators.singlepoint import SinglePointCalculator
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import thermalize_momenta
from ase.optimize import BFGS


MOLECULES = {
    "ethanol": "CH3CH2OH",
    "benzene": "C6H6",
    "acetamide": "CH3CONH2",
    "pyridine": "C5H5N",
}  # names in ASE's collection
TEMPERATURE = 500.0  # K, that of MD17
TIME_STEP = 0.5  # fs
STEPS_BETWEEN = 20  # time steps between two structures
EQUILIBRATION = 50  # structures that are thrown away
NUM_STRUCTURES = 1500


def trajectory(molecule: ase.Atoms, seed: int) -> list[ase.Atoms]:
    """Structures of one molecule, with energies in eV and forces in eV/Å."""
    from tblite.ase import TBLite

    rng = np.random.default_rng(seed)
    molecule.calc = TBLite(method="GFN2-xTB", verbosity=0)
    BFGS(molecule, logfile=None).run(fmax=0.01)
    thermalize_momenta(molecule, temperature_K=TEMPERATURE, rng=rng)
    dynamics = Langevin(
        molecule,
        TIME_STEP * units.fs,
        temperature_K=TEMPERATURE,
        friction=0.01 / units.fs,
        rng=rng,
    )
    frames = []
    for _ in range(EQUILIBRATION + NUM_STRUCTURES):
        dynamics.run(STEPS_BETWEEN)
        frame = molecule.copy()
        frame.calc = SinglePointCalculator(
            frame, energy=molecule.get_potential_energy(), forces=molecule.get_forces()
        )
        frames.append(frame)
    return frames[EQUILIBRATION:]


def main() -> None:
    """Make those sets that are not in the folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where to write them")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (name, formula) in enumerate(MOLECULES.items()):
        path = folder / f"{name}.xyz"
        if not path.exists():
            frames = trajectory(ase.build.molecule(formula), seed)
            ase.io.write(path, frames)
            print(f"{path}: {len(frames)} structures", flush=True)


if __name__ == "__main__":
    main()
