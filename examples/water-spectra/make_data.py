"""Write the data that the model learns from, and the harmonic vibrations.

::

    python make_data.py

makes ``water.xyz``, ``relaxed.xyz`` and ``harmonic.npz``. The geometries are drawn from
the Gaussian distribution of classical harmonic vibrations, each at its own temperature,
up to five times that of the dynamics.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor

import ase.build
import ase.io
import ase.units
import numpy as np
from reference import (
    derivatives,
    dipole_and_polarizability,
    energy_and_forces,
    kohn_sham,
    normal_modes,
    relaxed,
)


def labelled(frame: ase.Atoms) -> ase.Atoms:
    """The structure with all that the model learns."""
    state = kohn_sham(frame)
    frame.info["energy"], frame.arrays["forces"] = energy_and_forces(state)
    dipole, polarizability = dipole_and_polarizability(state)
    frame.info["mu"], frame.info["alpha"] = dipole, polarizability.ravel()
    return frame


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--number", type=int, default=200, help="of geometries")
    parser.add_argument("--temperature", type=float, default=1500.0, help="highest, K")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    water = relaxed(ase.build.molecule("H2O"))
    wavenumbers, modes = normal_modes(water)
    ase.io.write("relaxed.xyz", water)
    np.savez(
        "harmonic.npz",
        wavenumbers=wavenumbers,
        modes=modes,
        **derivatives(water, modes),
    )
    print("harmonic wavenumbers (1/cm):", wavenumbers.round(1), flush=True)

    rng = np.random.default_rng(arguments.seed)
    # of the normal coordinates, in ASE's units: √amu Å and their inverse time
    frequencies = 2 * np.pi * 100 * ase.units._c * wavenumbers / ase.units.second
    frames = []
    for _ in range(arguments.number):
        energy = ase.units.kB * rng.uniform(0, arguments.temperature)
        coordinates = rng.normal(scale=np.sqrt(energy) / frequencies)
        frame = water.copy()
        frame.positions += np.einsum("q,qax->ax", coordinates, modes)
        frames.append(frame)
    with ProcessPoolExecutor() as processes:
        frames = list(processes.map(labelled, frames))
    ase.io.write("water.xyz", frames)


if __name__ == "__main__":
    main()
