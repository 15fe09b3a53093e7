"""Geometries for the data: random displacements, or the vibrations at a temperature."""

import hashlib
from typing import Iterator, List

import ase
import ase.build
import ase.io
import ase.units
import numpy as np
from electronic import Method, vibrations

from metatrain_scalar_tensor.simulation.spectra import INVERSE_CM


MOLECULES = {"water": "H2O", "ethanol": "CH3CH2OH"}


def starting_points(names: List[str], files: List[str]) -> List[ase.Atoms]:
    """Molecules by their names, and all structures of files that ASE reads."""
    named = [ase.build.molecule(MOLECULES[name]) for name in names]
    return named + [atoms for path in files for atoms in ase.io.read(path, ":")]


def fingerprint(frames: List[ase.Atoms]) -> str:
    """A short text that tells structures from others."""
    hashed = hashlib.sha256()
    for atoms in frames:
        for values in (atoms.numbers, atoms.positions, atoms.cell[:]):
            hashed.update(np.ascontiguousarray(values, dtype=float).tobytes())
    return hashed.hexdigest()[:16]


def displaced(
    atoms: ase.Atoms, deviation: float, rng: np.random.Generator
) -> Iterator[ase.Atoms]:
    """Move every atom at random.

    :param atoms: the undistorted structure.
    :param deviation: standard deviation of the coordinates in Å.
    """
    while True:
        frame = atoms.copy()
        frame.positions += rng.normal(scale=deviation, size=(len(atoms), 3))
        yield frame


def thermal(
    atoms: ase.Atoms, method: Method, temperature: float, rng: np.random.Generator
) -> Iterator[ase.Atoms]:
    r"""Classical harmonic vibrations.

    Normal coordinates have the Gaussian distribution of variance
    :math:`kT / \omega^2`. Atoms move on straight lines, also in soft torsions, where
    molecular dynamics would turn them.

    :param atoms: the molecule at the minimum of the method's own energy.
    :param temperature: K
    """
    wavenumbers, modes = vibrations(atoms, method)
    print(f"{atoms.symbols}: wavenumbers {wavenumbers.round(1)} 1/cm", flush=True)
    # in ASE's units of inverse time: normal coordinates are in √amu Å
    frequencies = INVERSE_CM * wavenumbers
    deviations = np.sqrt(ase.units.kB * temperature) / frequencies
    while True:
        frame = atoms.copy()
        coordinates = rng.normal(scale=deviations)
        frame.positions += np.einsum("q,qax->ax", coordinates, modes)
        yield frame
