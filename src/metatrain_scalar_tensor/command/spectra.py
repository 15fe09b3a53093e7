"""Infrared and Raman spectra of a trajectory, as a table and a picture."""

from pathlib import Path
from typing import Any, List, Optional

from ..simulation import TensorCalculator
from ..simulation.trajectory import UNITS, Spectra, spectra_of_trajectory
from .files import check_folder, read_frames


def write_spectra(
    trajectory: Path,
    model: Path,
    output: Path,
    dipole: Optional[str],
    polarizability: Optional[List[str]],
    **settings: Any,
) -> None:
    """Write the spectra of a trajectory.

    :param trajectory: a file that ASE reads.
    :param model: exported model.
    :param output: the table to write (``.csv``); the picture is beside it (``.png``).
    :param dipole: name of this output.
    :param polarizability: name of this output, or names of its irreps.
    :param settings: of :func:`.simulation.trajectory.spectra_of_trajectory`.
    :raises ValueError: if model and trajectory have no spectra.
    :raises OSError: if a file can't be read or written.
    """
    if output.suffix != ".csv":
        raise ValueError(f"'{output}' has to end in .csv: the picture gets .png")
    check_folder(output)
    calculator = TensorCalculator(model, dipole=dipole, polarizability=polarizability)
    frames = read_frames(trajectory)
    spectra = spectra_of_trajectory(frames, calculator, **settings)
    spectra.write(output)
    print(
        f"{len(frames)} structures, wavenumbers up to {spectra.wavenumbers[-1]:.0f} "
        f"1/cm\n\nWritten:\n  {output}"
    )
    picture = output.with_suffix(".png")
    try:
        plot(spectra, picture)
    except ModuleNotFoundError:
        print("No picture: pip install matplotlib")
    else:
        print(f"  {picture}")


def plot(spectra: Spectra, path: Path) -> None:
    """Draw the spectra, one below the other.

    :param spectra: what to draw.
    :param path: the picture.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 2.2 * len(spectra.of) + 0.4), layout="constrained")
    axes = figure.subplots(len(spectra.of), sharex=True, squeeze=False)[:, 0]
    for axis, (name, values) in zip(axes, spectra.of.items()):
        # the slow motion, which diverges in Raman, would hide the bands
        seen = (spectra.wavenumbers > 50) & (spectra.wavenumbers < 4500)
        axis.plot(spectra.wavenumbers[seen], values[seen], linewidth=1)
        axis.set(ylabel=f"{name}\n({UNITS[name]})", ylim=(0, None))
    axes[-1].set(xlabel="wavenumber (1/cm)", xlim=(50, 4500))
    figure.suptitle(f"{spectra.temperature:g} K", fontsize="medium")
    figure.savefig(path, dpi=150)
