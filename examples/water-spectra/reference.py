"""The method that the model learns: PBE0/def2-SVPD, by PySCF.

Lengths in Å, energies in eV, dipoles in e Å, polarizabilities in Å³.
"""

import warnings
from typing import Dict, Tuple

import ase
import numpy as np
from ase.units import Bohr, Hartree
from pyscf import dft, gto, lib
from pyscf.hessian import thermo
from scipy.optimize import minimize


with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # "under testing", says every module on import
    from pyscf.prop.polarizability.rhf import Polarizability


FUNCTIONAL, BASIS = "PBE0", "def2-svpd"
lib.num_threads(1)  # more take longer for so small a molecule


def kohn_sham(atoms: ase.Atoms) -> dft.rks.RKS:
    """The converged ground state of a closed-shell molecule."""
    geometry = list(zip(atoms.symbols, atoms.positions.tolist()))
    molecule = gto.M(atom=geometry, basis=BASIS, verbose=0)
    state = dft.RKS(molecule, xc=FUNCTIONAL).run(conv_tol=1e-10)
    if not state.converged:
        raise RuntimeError(f"no convergence at the positions {atoms.positions}")
    return state


def energy_and_forces(state: dft.rks.RKS) -> Tuple[float, np.ndarray]:
    """In eV and eV/Å, shape ``(atoms, 3)``."""
    gradient = state.nuc_grad_method().kernel()
    return state.e_tot * Hartree, -gradient * Hartree / Bohr


def dipole_and_polarizability(state: dft.rks.RKS) -> Tuple[np.ndarray, np.ndarray]:
    """In e Å, shape ``(3,)``, and in Å³, ``(3, 3)``: static, by coupled equations."""
    dipole = state.dip_moment(unit="AU", verbose=0) * Bohr
    return dipole, Polarizability(state).polarizability() * Bohr**3


def relaxed(atoms: ase.Atoms) -> ase.Atoms:
    """The geometry of least energy."""

    def energy_and_gradient(positions: np.ndarray) -> Tuple[float, np.ndarray]:
        moved = atoms.copy()
        moved.positions = positions.reshape(-1, 3)
        energy, forces = energy_and_forces(kohn_sham(moved))
        return energy, -forces.ravel()

    found = minimize(
        energy_and_gradient, atoms.positions.ravel(), jac=True, options={"gtol": 1e-4}
    )
    result = atoms.copy()
    result.positions = found.x.reshape(-1, 3)
    return result


def normal_modes(atoms: ase.Atoms) -> Tuple[np.ndarray, np.ndarray]:
    """Vibrations of a relaxed molecule.

    :return: wavenumbers in 1/cm, ``(modes,)``, and displacements per unit of the normal
        coordinate, ``(modes, atoms, 3)`` in 1/√amu
    """
    state = kohn_sham(atoms)
    analysis = thermo.harmonic_analysis(state.mol, state.Hessian().kernel())
    return analysis["freq_wavenumber"], analysis["norm_mode"]


def derivatives(
    atoms: ase.Atoms, modes: np.ndarray, step: float = 0.01
) -> Dict[str, np.ndarray]:
    """How dipole and polarizability change along normal coordinates.

    :param atoms: the relaxed molecule
    :param modes: from :func:`normal_modes`
    :param step: of the central differences, in √amu Å
    :return: ``dipole``, ``(modes, 3)`` in e/√amu, and ``polarizability``,
        ``(modes, 3, 3)`` in Å²/√amu
    """
    both = []
    for mode in modes:
        sides = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions += sign * step * mode
            sides.append(dipole_and_polarizability(kohn_sham(moved)))
        both.append([(plus - minus) / (2 * step) for plus, minus in zip(*sides)])
    dipole, polarizability = zip(*both)
    return {"dipole": np.array(dipole), "polarizability": np.array(polarizability)}
