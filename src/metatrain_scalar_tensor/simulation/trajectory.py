"""Dipoles and polarizabilities along a trajectory, and its spectra."""

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional

import ase
import numpy as np
from ase import units
from metatomic.torch import ModelOutput

from ..progress import progress
from .calculator import TensorCalculator
from .spectra import (
    absorption,
    anisotropic,
    infrared,
    isotropic,
    length_of_parts,
    raman,
    spectrum_of_derivative,
)


ATOMS_AT_ONCE = 300  # more in one evaluation are not faster on a CPU

UNITS = {
    "infrared": "km/mol per 1/cm",
    "absorption": "1/cm",
    "raman": "arb. units",
}


@dataclass
class Spectra:
    """Spectra of a trajectory."""

    wavenumbers: np.ndarray
    """In 1/cm, ``(n,)``"""
    temperature: float
    """In K."""
    of: Dict[str, np.ndarray]
    """``infrared``, ``absorption`` and ``raman``, ``(n,)`` in :data:`UNITS`; those that
    the trajectory has."""

    def write(self, path: Path) -> None:
        """Write a table of comma-separated values.

        :param path: the file.
        """
        names = [f"{name} ({UNITS[name]})" for name in self.of]
        header = ",".join(["wavenumber (1/cm)", *names])
        table = np.column_stack([self.wavenumbers, *self.of.values()])
        head = f"# temperature: {self.temperature:g} K\n{header}\n"
        with open(path, "w", encoding="utf8") as file:
            file.write(head)
            np.savetxt(file, table, fmt="%.6g", delimiter=",")

    @classmethod
    def read(cls, path: Path) -> "Spectra":
        """Read what :meth:`write` has written.

        :param path: the file.
        """
        with open(path, encoding="utf8") as file:
            temperature = float(file.readline().split()[2])
            names = [name.split(" (")[0] for name in file.readline().split(",")]
            wavenumbers, *columns = np.loadtxt(file, delimiter=",", unpack=True)
        return cls(wavenumbers, temperature, dict(zip(names[1:], columns)))


def spectra_of_trajectory(
    frames: List[ase.Atoms],
    calculator: TensorCalculator,
    timestep: float,
    stride: int,
    temperature: float,
    resolution: Optional[float] = None,
    laser: float = 532.0,
    atoms_per_molecule: Optional[int] = None,
    quiet: bool = False,
) -> Spectra:
    """Infrared and Raman spectra, depending on what the calculator predicts.

    :param frames: structures of molecular dynamics at constant energy, or with a weak
        thermostat, with the same atoms in each.
    :param calculator: with dipole, polarizability or both.
    :param timestep: of the dynamics, which must be velocity Verlet or a thermostat
        based on it, in fs.
    :param stride: steps between two structures.
    :param temperature: of the dynamics, in K.
    :param resolution: in 1/cm: the spectra are means over parts of the trajectory that
        are long enough to resolve this; ``None`` for one part.
    :param laser: of Raman scattering, wavelength in nm.
    :param atoms_per_molecule: for molecules that are independent of each other, all
        with so many consecutive atoms: the spectra are then means over the molecules.
        By default, all atoms together are one system.
    :param quiet: whether to show no progress bars.
    :return: the spectra of the system, or of one molecule.
    :raises ValueError: if a number is not positive, if there are no spectra or too few
        structures for them, or if structures or molecules differ in their atoms.
    """
    settings = {
        "time step": timestep,
        "stride": stride,
        "temperature": temperature,
        "resolution": resolution,
        "wavelength of the laser": laser,
        "number of atoms per molecule": atoms_per_molecule,
    }
    for name, value in settings.items():
        if value is not None and value <= 0:
            raise ValueError(f"the {name} is {value:g}, and has to be positive")
    check_trajectory(frames, atoms_per_molecule)
    if not calculator.outputs:
        raise ValueError("name a dipole, a polarizability or both")
    step, length = timestep * units.fs, None
    if resolution is not None:
        length = length_of_parts(resolution, len(frames), step, stride)
    time = (step, stride, temperature, length)
    tensors = tensors_along(frames, calculator, atoms_per_molecule, quiet)
    of: Dict[str, np.ndarray] = {}
    if "dipole" in tensors:
        mu = tensors["dipole"]
        nu, density = spectrum_of_derivative(mu, *time)
        of["infrared"] = infrared(density.mean(1))
        if frames[0].cell.rank == 3 and all(frames[0].pbc):
            volume = np.mean([frame.cell.volume for frame in frames])
            of["absorption"] = absorption(mu.shape[1] * of["infrared"], volume)
    if "polarizability" in tensors:
        alpha = tensors["polarizability"]
        nu, mean = spectrum_of_derivative(isotropic(alpha), *time)
        _, rest = spectrum_of_derivative(anisotropic(alpha), *time)
        of["raman"] = raman(mean.mean(1), rest.mean(1), nu, temperature, laser)
    return Spectra(nu, temperature, of)


def check_trajectory(
    frames: List[ase.Atoms], atoms_per_molecule: Optional[int]
) -> None:
    """Refuse what is not a trajectory.

    :param frames: the structures.
    :param atoms_per_molecule: of each molecule, if there are several.
    :raises ValueError: see :func:`spectra_of_trajectory`.
    """
    if len(frames) < 8:
        raise ValueError(f"{len(frames)} structures are too few for a spectrum")
    numbers = frames[0].numbers
    for i, frame in enumerate(frames):
        if not np.isfinite(frame.positions).all():
            raise ValueError(f"structure {i} has NaN or infinite values as positions")
        if not np.array_equal(frame.numbers, numbers):
            raise ValueError(
                f"structure {i} has the atoms {frame.symbols}, and structure 0 "
                f"{frames[0].symbols}: in a trajectory, they are the same"
            )
    if atoms_per_molecule is not None:
        size = atoms_per_molecule
        if len(numbers) % size or np.any(numbers.reshape(-1, size) != numbers[:size]):
            raise ValueError(
                f"{frames[0].symbols} are not molecules of {size} atoms each, with the "
                "elements in the same order"
            )


def tensors_along(
    frames: List[ase.Atoms],
    calculator: TensorCalculator,
    atoms_per_molecule: Optional[int] = None,
    quiet: bool = False,
) -> Dict[str, np.ndarray]:
    """Dipoles and polarizabilities of all structures, many of them evaluated at once.

    :param frames: the structures, with the same number of atoms each.
    :param calculator: with dipole, polarizability or both.
    :param atoms_per_molecule: of consecutive molecules; ``None`` for one of all atoms.
    :param quiet: whether to show no progress bar.
    :return: ``dipole``, ``(times, molecules, 3)`` in e Å, and ``polarizability``,
        ``(times, molecules, 3, 3)`` in Å³, those that the calculator has
    """
    sample_kind = "system" if atoms_per_molecule is None else "atom"
    request: Dict[str, ModelOutput] = {}
    for output in calculator.outputs.values():
        request.update(output.request(sample_kind))
    parts: Dict[str, List[np.ndarray]] = {what: [] for what in calculator.outputs}
    size = max(1, ATOMS_AT_ONCE // len(frames[0]))
    for start in progress(range(0, len(frames), size), "evaluation", quiet):
        part = frames[start : start + size]
        found = calculator.tensors.run_model(part, request)
        for what, output in calculator.outputs.items():
            values = output.read(found)
            if atoms_per_molecule is not None:  # (structures · atoms, 3, ...)
                values = values.unflatten(0, (-1, atoms_per_molecule)).sum(1)
            parts[what].append(values.unflatten(0, (len(part), -1)).cpu().numpy())
    return {what: np.concatenate(values) for what, values in parts.items()}
