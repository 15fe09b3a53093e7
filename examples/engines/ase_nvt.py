"""Langevin dynamics of ethanol at 300 K with ASE, and the dipole along it.

::

    python ase_nvt.py --steps 2000    # writes ase-nvt.xyz
"""

import argparse
from pathlib import Path

import ase.io
import ase.units
import numpy as np
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import thermalize_momenta
from metatomic.torch import ModelOutput
from metatomic_ase import MetatomicCalculator


REQUEST = {"mtt::mu": ModelOutput(sample_kind="system")}


def main() -> None:
    """Print time, temperature and dipole, and write a trajectory with them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--structure", default="ethanol.xyz")
    parser.add_argument("--energy", default="ethanol.pt", help="model of the energy")
    parser.add_argument("--dipole", default="qm7x.pt", help="model of mtt::mu")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--stride", type=int, default=10, help="steps between frames")
    parser.add_argument("--output", type=Path, default=Path("ase-nvt.xyz"))
    arguments = parser.parse_args()

    rng = np.random.default_rng(1)
    atoms = ase.io.read(arguments.structure)
    atoms.calc = MetatomicCalculator(arguments.energy)
    dipole = MetatomicCalculator(arguments.dipole)
    thermalize_momenta(atoms, temperature_K=300, rng=rng)
    dynamics = Langevin(
        atoms,
        timestep=0.5 * ase.units.fs,
        temperature_K=300,
        friction=0.01 / ase.units.fs,
        fixcm=False,
        rng=rng,
    )

    def report() -> None:
        mu = dipole.run_model(atoms, REQUEST)["mtt::mu"].block().values[0, :, 0]
        atoms.info["mu"] = mu.numpy()
        ase.io.write(arguments.output, atoms, append=True)
        time = dynamics.get_time() / ase.units.fs
        temperature = atoms.get_temperature()
        print(f"{time:7.1f} fs {temperature:6.1f} K, dipole {mu.numpy().round(3)} e Å")

    arguments.output.unlink(missing_ok=True)
    dynamics.attach(report, interval=arguments.stride)
    dynamics.run(arguments.steps)


if __name__ == "__main__":
    main()
