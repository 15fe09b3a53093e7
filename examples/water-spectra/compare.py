"""The spectra of the dynamics beside the harmonic ones.

::

    python compare.py dynamics-*.csv

prints where the bands are and how strong, and draws ``spectra.png``.
"""

import argparse
from pathlib import Path
from typing import Dict, List, Tuple

import matplotlib
import numpy as np

from metatrain_scalar_tensor.simulation.spectra import (
    anisotropic,
    infrared,
    isotropic,
    raman,
)
from metatrain_scalar_tensor.simulation.trajectory import Spectra


matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402


UNITS = {"infrared": "km/mol", "raman": "arb. units"}


def harmonic_lines(path: str, temperature: float) -> Spectra:
    """Wavenumbers and intensities of the vibrations, ``(modes,)``."""
    data = np.load(path)
    lines, alpha = data["wavenumbers"], data["polarizability"]
    mean, rest = isotropic(alpha) ** 2, anisotropic(alpha) ** 2
    intensities = {
        "infrared": infrared(data["dipole"] ** 2),
        "raman": raman(mean, rest, lines, temperature),
    }
    return Spectra(lines, temperature, intensities)


def bands(spectra: Spectra, harmonic: Spectra) -> Spectra:
    """Positions and integrals of the bands, each as far as halfway to the next.

    :return: centroids of both spectra together, and the integrals, ``(modes,)``
    """
    nu, lines = spectra.wavenumbers, harmonic.wavenumbers
    band = np.searchsorted((lines[1:] + lines[:-1]) / 2, nu)
    is_near = np.abs(nu - lines[band]) < 300  # neither overtones nor slow changes
    both = sum(spectra.of[kind] / harmonic.of[kind].sum() for kind in UNITS)
    centroids: List[float] = []
    integrals: Dict[str, List[float]] = {kind: [] for kind in UNITS}
    for i in range(len(lines)):
        here = is_near & (band == i)
        centroids.append(np.average(nu[here], weights=both[here]))
        for kind, values in integrals.items():
            values.append(np.trapezoid(spectra.of[kind][here], nu[here]))
    intensities = {kind: np.array(values) for kind, values in integrals.items()}
    return Spectra(np.array(centroids), spectra.temperature, intensities)


def line_of_table(name: str, found: Spectra) -> str:
    """Positions, infrared and Raman intensities."""
    cells = [f"{value:6.0f}" for value in found.wavenumbers]
    cells += [f"{value:6.1f}" for kind in UNITS for value in found.of[kind]]
    return f"{name:20s}" + " ".join(cells)


def windows(lines: np.ndarray, margin: float = 120.0) -> List[Tuple[float, float]]:
    """Parts of the axis that have bands, in 1/cm."""
    groups = np.split(lines, np.flatnonzero(np.diff(lines) > 3 * margin) + 1)
    return [(group.min() - margin, group.max() + margin) for group in groups]


def plot(dynamics: List[Spectra], harmonic: Spectra, path: str) -> None:
    """Draw both spectra at all temperatures, and the harmonic lines as sticks."""
    lines = harmonic.wavenumbers
    ranges = windows(lines)
    figure, axes = plt.subplots(
        len(UNITS),
        len(ranges),
        figsize=(7.5, 5),
        width_ratios=[high - low for low, high in ranges],
        sharex="col",
        squeeze=False,
        layout="constrained",
    )
    colors = plt.get_cmap("plasma")(np.linspace(0.1, 0.6, len(dynamics)))
    for row, (kind, unit) in zip(axes, UNITS.items()):
        for axis, (low, high) in zip(row, ranges):
            for spectra, color in zip(dynamics, colors):
                nu = spectra.wavenumbers
                here = (nu > low) & (nu < high)
                label = f"dynamics, {spectra.temperature:.0f} K"
                axis.plot(nu[here], spectra.of[kind][here], color=color, label=label)
            axis.plot([], [], color="0.6", label="harmonic (right axis)")
            axis.set(xlim=(low, high), ylim=(0, None))
            sticks = axis.twinx()
            here = (lines > low) & (lines < high)
            sticks.vlines(lines[here], 0, harmonic.of[kind][here], color="0.6")
            sticks.set_ylim(0, None)
            axis.set_zorder(sticks.get_zorder() + 1)  # lines before sticks
            axis.patch.set_visible(False)
        row[0].set_ylabel(f"{kind} ({unit} cm)")
        sticks.set_ylabel(unit)
    axes[0, -1].legend(loc="upper left", fontsize="small")
    figure.supxlabel("wavenumber (1/cm)", fontsize="medium")
    figure.savefig(path, dpi=150)


def main() -> None:
    """Print the table and draw the spectra."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dynamics", nargs="+", type=Path, help="of scalar-tensor")
    parser.add_argument("--harmonic", default="harmonic.npz", help="of make_data.py")
    parser.add_argument("-o", "--output", default="spectra.png")
    arguments = parser.parse_args()

    print(f"{'':20s}{'bands (1/cm)':20s} {'infrared (km/mol)':20s} {'Raman':20s}")
    dynamics = [Spectra.read(path) for path in arguments.dynamics]
    for spectra in dynamics:
        harmonic = harmonic_lines(arguments.harmonic, spectra.temperature)
        name = f"dynamics, {spectra.temperature:.0f} K"
        print(line_of_table(name, bands(spectra, harmonic)))
    print(line_of_table("harmonic", harmonic))
    plot(dynamics, harmonic, arguments.output)


if __name__ == "__main__":
    main()
