"""Dynamics of a gas of molecules that do not feel each other.

::

    python simulate.py model.pt --temperature 300 -o dynamics-300K.traj

Langevin dynamics brings the molecules to the temperature; then each is left to itself,
without rotation, and the structures are written along the way.
"""

import argparse

import ase.io
import numpy as np
from ase import units
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import Stationary, ZeroRotation, thermalize_momenta
from ase.md.verlet import VelocityVerlet
from metatomic_ase import MetatomicCalculator


STEP = 0.5 * units.fs
STRIDE = 4  # steps between two structures: wavenumbers up to 8100 1/cm


def gas(molecule: ase.Atoms, number: int, spacing: float = 20.0) -> ase.Atoms:
    """Copies of a molecule on a lattice, in Å, beyond the reach of the model."""
    side = int(np.ceil(number ** (1 / 3)))
    everything = ase.Atoms()
    for place in list(np.ndindex(side, side, side))[:number]:
        copy = molecule.copy()
        copy.translate(spacing * np.array(place))
        everything += copy
    return everything


def stop_rotation(atoms: ase.Atoms, size: int) -> None:
    """Take the momentum and angular momentum of every molecule of ``size`` atoms."""
    momenta = []
    for first in range(0, len(atoms), size):
        molecule = atoms[first : first + size]
        Stationary(molecule, preserve_temperature=False)
        ZeroRotation(molecule, preserve_temperature=False)
        momenta.append(molecule.get_momenta())
    atoms.set_momenta(np.concatenate(momenta))


def main() -> None:
    """Run the dynamics."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="exported model")
    parser.add_argument("--molecule", default="relaxed.xyz", help="its geometry")
    parser.add_argument("--temperature", type=float, default=300.0, help="K")
    parser.add_argument("--molecules", type=int, default=64)
    parser.add_argument("--equilibration", type=float, default=0.5, help="ps")
    parser.add_argument("--time", type=float, default=3.0, help="ps")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", default="dynamics.traj")
    arguments = parser.parse_args()

    rng = np.random.default_rng(arguments.seed)
    molecule = ase.io.read(arguments.molecule)
    size = len(molecule)
    atoms = gas(molecule, arguments.molecules)
    atoms.calc = MetatomicCalculator(arguments.model)

    thermalize_momenta(atoms, temperature_K=arguments.temperature, rng=rng)
    thermostat = Langevin(
        atoms,
        STEP,
        temperature_K=arguments.temperature,
        friction=0.02 / units.fs,
        fixcm=False,
        rng=rng,
    )
    thermostat.run(int(1000 * units.fs * arguments.equilibration / STEP))
    stop_rotation(atoms, size)

    energy = atoms.get_total_energy()
    dynamics = VelocityVerlet(
        atoms, STEP, trajectory=arguments.output, loginterval=STRIDE
    )
    dynamics.run(int(1000 * units.fs * arguments.time / STEP))
    change = (atoms.get_total_energy() - energy) / len(atoms)
    print(f"{arguments.temperature:.0f} K: the energy changed by {change:.1e} eV/atom")


if __name__ == "__main__":
    main()
