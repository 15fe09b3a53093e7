"""Infrared and Raman spectra from the dynamics, beside the harmonic ones.

::

    python spectra.py dynamics-*.npz

prints where the bands are and how strong, and draws ``spectra.png``.
"""

import argparse
from typing import Dict, List, Tuple

import matplotlib
import numpy as np
import scipy.constants as si
from ase import units
from scipy.signal import periodogram


matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402


LASER = 1e7 / 532  # 1/cm
INFRARED = si.N_A * si.e**2 / (12 * si.epsilon_0 * si.c**2 * si.atomic_mass) / 1000
INVERSE_CM = 2 * np.pi * 100 * si.c / units.second  # of angular frequency, ASE's units


def spectrum_of_derivative(
    values: np.ndarray, step: float, stride: int, temperature: float
) -> Tuple[np.ndarray, np.ndarray]:
    r"""Fourier transform of the autocorrelation of a time derivative, over kT.

    By the Wiener-Khinchin theorem it is the power spectrum, with a Hann window. Its
    integral over the band of a harmonic vibration is :math:`(\partial A/\partial Q)^2`,
    as :math:`\langle\dot Q^2\rangle = kT` for classical nuclei.

    :param values: of a property A, ``(times, ...)``
    :param step: of velocity Verlet, in ASE's unit of time, as in what follows
    :param stride: steps between two values
    :param temperature: in K
    :return: wavenumbers in 1/cm, ``(n,)``, and the density, ``(n, ...)``, in the square
        of A's unit over Å² amu, per 1/cm
    """
    frequency, power = periodogram(
        values,
        1 / (step * stride),
        window="hann",
        nfft=8 * len(values),  # zeros behind the values make a smooth curve
        axis=0,
    )
    # velocity Verlet turns a harmonic frequency ω into 2/Δt arcsin(ω Δt/2)
    omega = 2 / step * np.sin(np.pi * frequency * step)
    power = power.reshape(len(omega), -1) * (omega**2)[:, None]
    density = power / (units.kB * temperature) * INVERSE_CM / (2 * np.pi)
    return omega / INVERSE_CM, density.reshape(len(omega), *values.shape[1:])


def infrared(dipole: np.ndarray) -> np.ndarray:
    r"""Intensity in km/mol of squared derivatives of the dipole.

    :math:`A = N_A |\partial\mu/\partial Q|^2 / (12 \epsilon_0 c^2)`. For the spectrum
    of a correlation function it contains the harmonic quantum correction,
    :math:`\beta\hbar\omega / (1 - e^{-\beta\hbar\omega})`: this and the prefactor
    :math:`\omega (1 - e^{-\beta\hbar\omega})` of absorption leave :math:`\omega^2`.

    :param dipole: ``(n, 3)``, squared, in e²/amu
    """
    return INFRARED * dipole.sum(-1)


def isotropic(alpha: np.ndarray) -> np.ndarray:
    """Mean of the diagonal, of matrices ``(..., 3, 3)``."""
    return np.trace(alpha, axis1=-2, axis2=-1) / 3


def anisotropic(alpha: np.ndarray) -> np.ndarray:
    """Matrices ``(..., 3, 3)`` without their isotropic part."""
    return alpha - isotropic(alpha)[..., None, None] * np.eye(3)


def raman(
    mean: np.ndarray,
    rest: np.ndarray,
    wavenumbers: np.ndarray,
    temperature: float,
) -> np.ndarray:
    r"""Stokes scattering of a laser of 532 nm, in arbitrary units.

    :math:`(\nu_0 - \nu)^4 / \nu\, (45 a'^2 + 7 \gamma'^2) / (1 - e^{-hc\nu/kT})`, in
    Placzek's approximation; the harmonic quantum correction is in it as in
    :func:`infrared`.

    :param mean: squared derivatives of the isotropic polarizability, ``(n,)``
    :param rest: of the anisotropic one, ``(n, 3, 3)``: γ'² = 3/2 of their sum
    :param wavenumbers: in 1/cm, ``(n,)``
    :param temperature: in K
    """
    activity = 45 * mean + 7 * 1.5 * rest.sum((-2, -1))
    nu = np.maximum(wavenumbers, 1.0)
    thermal = 1 - np.exp(-nu * units.invcm / (units.kB * temperature))
    return (1 - nu / LASER) ** 4 * (1000 / nu) * activity / thermal


def spectra_of_dynamics(path: str) -> Dict[str, np.ndarray]:
    """Wavenumbers, and the two spectra per 1/cm, mean of the molecules."""
    data = np.load(path)
    time = (float(data["step"]), int(data["stride"]), float(data["temperature"]))
    wavenumbers, dipole = spectrum_of_derivative(data["mu"], *time)
    _, mean = spectrum_of_derivative(isotropic(data["alpha"]), *time)
    _, rest = spectrum_of_derivative(anisotropic(data["alpha"]), *time)
    return {
        "wavenumbers": wavenumbers,
        "infrared": infrared(dipole.mean(1)),
        "raman": raman(mean.mean(1), rest.mean(1), wavenumbers, time[2]),
        "temperature": data["temperature"],
    }


def harmonic_spectra(path: str, temperature: float) -> Dict[str, np.ndarray]:
    """Wavenumbers and intensities of the vibrations."""
    data = np.load(path)
    alpha = data["polarizability"]
    return {
        "wavenumbers": data["wavenumbers"],
        "infrared": infrared(data["dipole"] ** 2),
        "raman": raman(
            isotropic(alpha) ** 2,
            anisotropic(alpha) ** 2,
            data["wavenumbers"],
            temperature,
        ),
    }


Spectra = Dict[str, np.ndarray]
UNITS = {"infrared": "km/mol", "raman": "arb. units"}


def bands(spectra: Spectra, harmonic: Spectra) -> Spectra:
    """Positions and integrals of the bands, each as far as halfway to the next.

    :return: ``wavenumbers``, ``(modes,)`` in 1/cm, centroids of both spectra together,
        and the integrals ``infrared`` and ``raman``, ``(modes,)``
    """
    nu, lines = spectra["wavenumbers"], harmonic["wavenumbers"]
    band = np.searchsorted((lines[1:] + lines[:-1]) / 2, nu)
    is_near = np.abs(nu - lines[band]) < 300  # neither overtones nor slow changes
    both = sum(spectra[kind] / harmonic[kind].sum() for kind in UNITS)
    found: Dict[str, List[float]] = {kind: [] for kind in ("wavenumbers", *UNITS)}
    for i in range(len(lines)):
        here = is_near & (band == i)
        found["wavenumbers"].append(np.average(nu[here], weights=both[here]))
        for kind in UNITS:
            found[kind].append(np.trapezoid(spectra[kind][here], nu[here]))
    return {kind: np.array(values) for kind, values in found.items()}


def line_of_table(name: str, found: Spectra) -> str:
    """Positions, infrared and Raman intensities."""
    cells = [f"{value:6.0f}" for value in found["wavenumbers"]]
    cells += [f"{value:6.1f}" for kind in UNITS for value in found[kind]]
    return f"{name:20s}" + " ".join(cells)


def windows(lines: np.ndarray, margin: float = 120.0) -> List[Tuple[float, float]]:
    """Parts of the axis that have bands, in 1/cm."""
    groups = np.split(lines, np.flatnonzero(np.diff(lines) > 3 * margin) + 1)
    return [(group.min() - margin, group.max() + margin) for group in groups]


def plot(dynamics: Dict[float, Spectra], harmonic: Spectra, path: str) -> None:
    """Draw both spectra at all temperatures, and the harmonic lines as sticks."""
    ranges = windows(harmonic["wavenumbers"])
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
            for (temperature, spectra), color in zip(dynamics.items(), colors):
                nu = spectra["wavenumbers"]
                here = (nu > low) & (nu < high)
                label = f"dynamics, {temperature:.0f} K"
                axis.plot(nu[here], spectra[kind][here], color=color, label=label)
            axis.plot([], [], color="0.6", label="harmonic (right axis)")
            axis.set(xlim=(low, high), ylim=(0, None))
            sticks = axis.twinx()
            here = (harmonic["wavenumbers"] > low) & (harmonic["wavenumbers"] < high)
            sticks.vlines(
                harmonic["wavenumbers"][here], 0, harmonic[kind][here], color="0.6"
            )
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
    parser.add_argument("dynamics", nargs="+", help="files of simulate.py")
    parser.add_argument("--harmonic", default="harmonic.npz", help="of make_data.py")
    parser.add_argument("-o", "--output", default="spectra.png")
    arguments = parser.parse_args()

    print(f"{'':20s}{'bands (1/cm)':20s} {'infrared (km/mol)':20s} {'Raman':20s}")
    dynamics: Dict[float, Spectra] = {}
    for path in arguments.dynamics:
        spectra = spectra_of_dynamics(path)
        temperature = float(spectra["temperature"])
        dynamics[temperature] = spectra
        harmonic = harmonic_spectra(arguments.harmonic, temperature)
        print(line_of_table(f"dynamics, {temperature:.0f} K", bands(spectra, harmonic)))
    print(line_of_table("harmonic", harmonic))
    plot(dynamics, harmonic, arguments.output)


if __name__ == "__main__":
    main()
