r"""Infrared and Raman spectra from the autocorrelation of dipole and polarizability.

The formulas are those of M. Thomas, M. Brehm, R. Fligg, P. Vöhringer, B. Kirchner,
`Phys. Chem. Chem. Phys. 15, 6608 (2013) <https://doi.org/10.1039/C3CP44302G>`_, with
intensities on an absolute scale, such that those of harmonic vibrations are integrals
of bands. Properties of classical nuclei get the harmonic quantum correction,
:math:`\beta\hbar\omega / (1 - e^{-\beta\hbar\omega})`.
"""

from typing import Optional, Tuple

import numpy as np
import scipy.constants as si
from ase import units
from scipy.signal import welch


INFRARED = si.N_A * si.e**2 / (12 * si.epsilon_0 * si.c**2 * si.atomic_mass) / 1000
"""Intensity in km/mol of a squared derivative of the dipole in e²/amu."""

INVERSE_CM = 2 * np.pi * 100 * si.c / units.second
"""1/cm as an angular frequency, in ASE's units."""


def length_of_parts(resolution: float, number: int, step: float, stride: int) -> int:
    """The number of values that resolve a spectrum.

    :param resolution: in 1/cm
    :param number: of all values
    :param step: of the dynamics, in ASE's unit of time
    :param stride: steps between two values
    :raises ValueError: if there are not so many, or if they are fewer than eight.
    """
    duration = 2 * np.pi / INVERSE_CM  # that resolves 1 1/cm
    length = round(duration / (resolution * step * stride))
    if not 8 <= length <= number:
        raise ValueError(
            f"a resolution of {resolution:g} 1/cm takes parts of {length} structures, "
            f"at least 8 and at most the {number} of the trajectory, which resolve "
            f"{duration / (number * step * stride):.1f} 1/cm"
        )
    return length


def spectrum_of_derivative(
    values: np.ndarray,
    step: float,
    stride: int,
    temperature: float,
    length: Optional[int] = None,
) -> Tuple[np.ndarray, np.ndarray]:
    r"""Fourier transform of the autocorrelation of a time derivative, over kT.

    By the Wiener-Khinchin theorem it is the power spectrum, with a Hann window. Its
    integral over the band of a harmonic vibration is :math:`(\partial A/\partial Q)^2`,
    as :math:`\langle\dot Q^2\rangle = kT` for classical nuclei.

    :param values: of a property A, ``(times, ...)``
    :param step: of velocity Verlet, in ASE's unit of time, as in what follows. The
        errors that it makes in frequencies and amplitudes are corrected.
    :param stride: steps between two values
    :param temperature: that of the kinetic energy, in K
    :param length: the spectrum is the mean over overlapping parts of so many values
        (Welch's method), from :func:`length_of_parts`; ``None`` for one part.
    :return: wavenumbers in 1/cm, ``(n,)``, and the density, ``(n, ...)``, in the square
        of A's unit over Å² amu, per 1/cm
    """
    length = length or len(values)
    frequency, power = welch(
        values,
        1 / (step * stride),
        window="hann",
        nperseg=length,
        nfft=8 * length,  # zeros behind the values make a smooth curve
        axis=0,
    )
    # velocity Verlet turns a harmonic frequency ω into 2φ/Δt with sin φ = ω Δt/2, and
    # kT = (ω cos φ)² ⟨Q²⟩; the density is per dω, and the spectrum per 2 dφ/Δt
    phase = np.pi * frequency * step
    omega = 2 / step * np.sin(phase)
    power = power.reshape(len(omega), -1) * (omega**2 * np.cos(phase))[:, None]
    density = power / (units.kB * temperature) * INVERSE_CM / (2 * np.pi)
    return omega / INVERSE_CM, density.reshape(len(omega), *values.shape[1:])


def infrared(dipole: np.ndarray) -> np.ndarray:
    r"""Intensity in km/mol of squared derivatives of the dipole.

    :math:`A = N_A |\partial\mu/\partial Q|^2 / (12 \epsilon_0 c^2)`. For the spectrum
    of a correlation function it contains the harmonic quantum correction: this and the
    prefactor :math:`\omega (1 - e^{-\beta\hbar\omega})` of absorption leave
    :math:`\omega^2`.

    :param dipole: ``(n, 3)``, squared, in e²/amu
    :return: ``(n,)``
    """
    return INFRARED * dipole.sum(-1)


def absorption(intensity: np.ndarray, volume: float) -> np.ndarray:
    r"""Absorption coefficient times refractive index, of a medium.

    :math:`n(\nu) \alpha(\nu) = A(\nu) / (N_A V)`, for light with
    :math:`I = I_0 e^{-\alpha x}`

    :param intensity: infrared spectrum of all that is in the volume, ``(n,)`` in km/mol
        per 1/cm
    :param volume: in Å³
    :return: ``(n,)`` in 1/cm
    """
    return intensity * 1e5 / si.N_A / (volume * 1e-24)


def isotropic(alpha: np.ndarray) -> np.ndarray:
    """Mean of the diagonal, of matrices ``(..., 3, 3)``."""
    return np.trace(alpha, axis1=-2, axis2=-1) / 3


def anisotropic(alpha: np.ndarray) -> np.ndarray:
    """Matrices ``(..., 3, 3)`` without their isotropic part."""
    return alpha - isotropic(alpha)[..., None, None] * np.eye(3)


def raman_activity(mean: np.ndarray, rest: np.ndarray) -> np.ndarray:
    r"""The activity :math:`45 a'^2 + 7 \gamma'^2`, of squared derivatives.

    :param mean: of the isotropic polarizability, ``(n,)``
    :param rest: of the anisotropic one, ``(n, 3, 3)``: γ'² = 3/2 of their sum
    :return: ``(n,)``
    """
    return 45 * mean + 7 * 1.5 * rest.sum((-2, -1))


def raman(
    mean: np.ndarray,
    rest: np.ndarray,
    wavenumbers: np.ndarray,
    temperature: float,
    laser: float = 532.0,
) -> np.ndarray:
    r"""Stokes scattering, in arbitrary units.

    :math:`(1 - \nu/\nu_0)^4 / \nu\, (45 a'^2 + 7 \gamma'^2) / (1 - e^{-hc\nu/kT})`, in
    Placzek's approximation (D. A. Long, *The Raman Effect*, 2002); the harmonic quantum
    correction is in it as in :func:`infrared`. The unit is Å⁴/amu at 1000 1/cm, before
    the factors of laser and temperature.

    :param mean: squared derivatives of the isotropic polarizability, ``(n,)``
    :param rest: of the anisotropic one, ``(n, 3, 3)``: γ'² = 3/2 of their sum
    :param wavenumbers: in 1/cm, ``(n,)``
    :param temperature: in K
    :param laser: wavelength in nm
    :return: ``(n,)``
    """
    activity = raman_activity(mean, rest)
    nu = np.maximum(wavenumbers, 1.0)
    thermal = 1 - np.exp(-nu * units.invcm / (units.kB * temperature))
    return (1 - nu * laser / 1e7) ** 4 * (1000 / nu) * activity / thermal
