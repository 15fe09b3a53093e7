"""Dynamics of a gas of molecules that do not feel each other, and their tensors.

::

    python simulate.py model.pt --temperature 300 -o dynamics-300K.npz

Langevin dynamics brings the molecules to the temperature; then each is left to itself,
without rotation, and its dipole and polarizability are written along the way.
"""

import argparse
from typing import Dict, List

import ase.io
import numpy as np
from ase import units
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import Stationary, ZeroRotation, thermalize_momenta
from ase.md.verlet import VelocityVerlet
from metatomic.torch import ModelOutput
from metatomic_ase import MetatomicCalculator


STEP = 0.5 * units.fs
STRIDE = 4  # steps between two values of the tensors: wavenumbers up to 8300 1/cm
TENSORS = ["mtt::mu", "mtt::alpha"]


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
    parser.add_argument("-o", "--output", default="dynamics.npz")
    arguments = parser.parse_args()

    rng = np.random.default_rng(arguments.seed)
    molecule = ase.io.read(arguments.molecule)
    size = len(molecule)
    atoms = gas(molecule, arguments.molecules)
    calculator = MetatomicCalculator(arguments.model)
    atoms.calc = calculator

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

    requests = {name: ModelOutput(sample_kind="atom") for name in TENSORS}
    tensors: Dict[str, List[np.ndarray]] = {name: [] for name in TENSORS}
    energies: List[float] = []

    def observe() -> None:
        energies.append(atoms.get_total_energy())
        for name, tensor in calculator.run_model(atoms, requests).items():
            values = tensor.block().values.squeeze(-1).numpy()  # (atoms, 3, ...)
            of_molecules = values.reshape(-1, size, *values.shape[1:]).sum(1)
            tensors[name].append(of_molecules)

    dynamics = VelocityVerlet(atoms, STEP)
    dynamics.attach(observe, interval=STRIDE)
    dynamics.run(int(1000 * units.fs * arguments.time / STEP))

    change = (energies[-1] - energies[0]) / len(atoms)
    print(f"{arguments.temperature:.0f} K: the energy changed by {change:.1e} eV/atom")
    np.savez(
        arguments.output,
        temperature=arguments.temperature,
        step=STEP,
        stride=STRIDE,
        mu=np.array(tensors["mtt::mu"]),  # (times, molecules, 3)
        alpha=np.array(tensors["mtt::alpha"]),  # (times, molecules, 3, 3)
    )


if __name__ == "__main__":
    main()
