"""Energies and forces of small molecules, by GFN2-xTB.

Like the rMD17 sets: one molecule each, structures from molecular dynamics at 500 K, to
be divided at random. ``g2`` has many: distorted geometries of those of the G2 set,
which have 14 elements. The method is cheap, so that the sets can be made anew anywhere
(Bannwarth, Ehlert and Grimme, `JCTC 15, 1652 (2019)
<https://doi.org/10.1021/acs.jctc.8b01176>`_). Needs ``pip install tblite``.

::

    python benchmarks/molecules.py FOLDER     # g2.xyz, ethanol.xyz, benzene.xyz, ...
"""

import argparse
from pathlib import Path

import ase
import ase.build
import ase.io
import numpy as np
from ase import units
from ase.calculators.singlepoint import SinglePointCalculator
from ase.collections import g2
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
DISPLACEMENT = 0.05  # Å, of the atoms of g2


def with_results(atoms: ase.Atoms) -> ase.Atoms:
    """A copy with energy and forces."""
    copy = atoms.copy()
    copy.calc = SinglePointCalculator(
        copy, energy=atoms.get_potential_energy(), forces=atoms.get_forces()
    )
    return copy


def distorted_molecules() -> list[ase.Atoms]:
    """Distorted geometries of closed-shell molecules of the G2 set."""
    from tblite.ase import TBLite

    names = [
        name
        for name in g2.names
        if len(g2[name]) > 1 and g2[name].numbers.sum() % 2 == 0
    ]
    rng = np.random.default_rng(0)
    frames = []
    for i in range(NUM_STRUCTURES):
        molecule = g2[names[i % len(names)]]
        molecule.set_initial_magnetic_moments(None)
        molecule.positions += DISPLACEMENT * rng.normal(size=(len(molecule), 3))
        molecule.calc = TBLite(method="GFN2-xTB", verbosity=0)
        frames.append(with_results(molecule))
    return frames


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
        frames.append(with_results(molecule))
    return frames[EQUILIBRATION:]


def main() -> None:
    """Make those sets that are not in the folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where to write them")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "g2.xyz").exists():
        ase.io.write(folder / "g2.xyz", distorted_molecules())
    for seed, (name, formula) in enumerate(MOLECULES.items()):
        path = folder / f"{name}.xyz"
        if not path.exists():
            frames = trajectory(ase.build.molecule(formula), seed)
            ase.io.write(path, frames)
            print(f"{path}: {len(frames)} structures", flush=True)


if __name__ == "__main__":
    main()
