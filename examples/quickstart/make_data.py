"""Write the data of the quickstart: PBE0/def2-SVPD, by PySCF.

::

    pip install ".[spectra]"
    python examples/quickstart/make_data.py

makes ``data/molecules.xyz``, geometries of a few molecules with energy, forces, dipole
and polarizability, and ``data/molecules_vibrations.json``, their harmonic vibrations.
The geometries are drawn from the Gaussian distribution of classical harmonic vibrations
at 300 K. Lengths are in Å, energies in eV, dipoles in e Å, polarizabilities in Å³.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Tuple

import ase.build
import ase.io
import ase.units
import numpy as np
from vibrations import derivatives, intensities, normal_modes

from metatrain_scalar_tensor.simulation.spectra import INVERSE_CM


PROJECT = Path(__file__).resolve().parents[2]
sys.path.append(str(PROJECT / "examples" / "water-spectra"))
from reference import (  # noqa: E402
    dipole_and_polarizability,
    energy_and_forces,
    kohn_sham,
    relaxed,
)


MOLECULES = ["H2O", "NH3", "H2CO"]
TEMPERATURE = 300.0  # K


def response(atoms: ase.Atoms) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Forces, dipole and polarizability."""
    state = kohn_sham(atoms)
    return energy_and_forces(state)[1], *dipole_and_polarizability(state)


def labelled(atoms: ase.Atoms) -> ase.Atoms:
    """The structure with all that a model learns."""
    state = kohn_sham(atoms)
    dipole, polarizability = dipole_and_polarizability(state)
    energy, forces = energy_and_forces(state)
    atoms.info["energy"], atoms.arrays["forces"] = energy, forces.round(6)
    atoms.info["mu"] = dipole.round(6)
    atoms.info["alpha"] = polarizability.ravel().round(6)
    return atoms


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--number", type=int, default=40, help="of every molecule")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, default=PROJECT / "data")
    arguments = parser.parse_args()

    molecules = {}
    harmonic = {}
    for name in MOLECULES:
        atoms = relaxed(ase.build.molecule(name))
        forces, *tensors = derivatives(atoms, response)
        vibrations = normal_modes(atoms, forces)
        lines = intensities(vibrations, *tensors)
        harmonic[name] = {kind: values.tolist() for kind, values in lines.items()}
        # Normal coordinates have kT / ω² as their variance, in amu Å²
        frequencies = INVERSE_CM * lines["wavenumber"]
        spreads = np.sqrt(ase.units.kB * TEMPERATURE) / frequencies
        modes = vibrations.get_modes(all_atoms=True)[-len(spreads) :]
        molecules[name] = (atoms, spreads[:, None, None] * modes)
        print(name, {kind: values.round(1) for kind, values in lines.items()})
    text = json.dumps(harmonic, indent=1)
    (arguments.output / "molecules_vibrations.json").write_text(text + "\n")

    path = arguments.output / "molecules.xyz"
    path.unlink(missing_ok=True)
    rng = np.random.default_rng(arguments.seed)
    for _ in range(arguments.number):
        for atoms, modes in molecules.values():
            frame = atoms.copy()
            frame.positions += np.tensordot(rng.normal(size=len(modes)), modes, 1)
            frame.positions = frame.positions.round(6)
            ase.io.write(path, labelled(frame), format="extxyz", append=True)


if __name__ == "__main__":
    main()
