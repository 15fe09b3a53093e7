r"""Harmonic vibrations of a molecule, with the intensities of both spectra.

All from central differences of forces, dipole and polarizability, whoever computes
these: PySCF (``make_data.py``) or a model (``spectra.py``).
"""

from typing import Callable, Dict, Tuple

import ase
import numpy as np
from ase.vibrations import VibrationsData

from metatrain_scalar_tensor.simulation.spectra import (
    INFRARED,
    anisotropic,
    isotropic,
    raman_activity,
)


STEP = 0.005  # Å, of the central differences

# Forces in eV/Å, (atoms, 3), dipole in e Å, (3,), and polarizability in Å³, (3, 3)
Response = Callable[[ase.Atoms], Tuple[np.ndarray, np.ndarray, np.ndarray]]


def derivatives(
    atoms: ase.Atoms, response: Response
) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of forces, dipole and polarizability with respect to all positions.

    :param atoms: the molecule.
    :param response: what is differentiated.
    :return: ``(3 atoms, atoms, 3)`` in eV/Å², ``(3 atoms, 3)`` in e and
        ``(3 atoms, 3, 3)`` in Å²
    """
    differences = []
    for coordinate in np.ndindex(atoms.positions.shape):
        sides = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[coordinate] += sign * STEP
            sides.append(response(moved))
        differences.append([(plus - minus) / (2 * STEP) for plus, minus in zip(*sides)])
    forces, dipole, polarizability = zip(*differences)
    return np.array(forces), np.array(dipole), np.array(polarizability)


def normal_modes(atoms: ase.Atoms, forces: np.ndarray) -> VibrationsData:
    """The vibrations of a molecule in a minimum of the energy.

    :param atoms: the molecule, relaxed.
    :param forces: their derivatives, ``(3 atoms, atoms, 3)`` in eV/Å²
    """
    hessian = -forces.reshape(len(forces), -1)
    return VibrationsData.from_2d(atoms, (hessian + hessian.T) / 2)


def intensities(
    vibrations: VibrationsData, dipole: np.ndarray, polarizability: np.ndarray
) -> Dict[str, np.ndarray]:
    r"""Wavenumbers and the intensities of both spectra.

    Infrared: :math:`N_A |\partial\mu/\partial Q|^2 / (12 \epsilon_0 c^2)`. Raman: the
    activity :math:`45 a'^2 + 7 \gamma'^2`, where :math:`a'` is the mean of the diagonal
    of :math:`\partial\alpha/\partial Q`, and :math:`\gamma'^2` is 3/2 of the sum of the
    squares of the rest.

    :param vibrations: of a molecule that is not linear.
    :param dipole: derivatives, ``(3 atoms, 3)`` in e
    :param polarizability: derivatives, ``(3 atoms, 3, 3)`` in Å²
    :return: ``wavenumber`` in 1/cm, ``infrared`` in km/mol and ``raman`` in Å⁴/amu, all
        ``(modes,)``
    """
    energies, modes = vibrations.get_energies(), vibrations.get_modes(all_atoms=True)
    number = len(dipole) - 6  # the lowest six are translations and rotations
    modes = modes[-number:].reshape(number, -1)  # (modes, 3 atoms) in 1/√amu
    mu = modes @ dipole  # (modes, 3) in e/√amu
    alpha = np.einsum("qx,xij->qij", modes, polarizability)  # in Å²/√amu
    return {
        "wavenumber": energies[-number:].real / ase.units.invcm,
        "infrared": INFRARED * (mu**2).sum(1),
        "raman": raman_activity(isotropic(alpha) ** 2, anisotropic(alpha) ** 2),
    }
