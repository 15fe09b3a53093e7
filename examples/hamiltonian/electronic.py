"""Electronic structure by PySCF: matrices of a molecule, its minimum, its vibrations.

Closed shells, without charge. Energies are in eV and lengths in Å, as in ASE.
"""

import os
from dataclasses import dataclass
from typing import Dict, List, Optional, Tuple

import ase
import numpy as np
from ase.units import Hartree
from pyscf import dft, gto, scf
from pyscf.geomopt import ase_solver
from pyscf.hessian import thermo

from metatrain_scalar_tensor.hamiltonian import (
    HOME,
    atomic_basis,
    fock_of_atoms,
    orbital_order,
)


# in names of basis sets whose potentials PySCF has by other names
OTHER_POTENTIALS = ("gth", "ccecp", "bfd")
NEARLY_LINEAR = 1e-3  # smallest moment of inertia relative to the largest

Irreps = Dict[int, List[Dict[str, int]]]
Matrices = Dict[Tuple[int, int, int], np.ndarray]


def orbitals_of_atoms(atoms: ase.Atoms, irreps: Irreps) -> List[int]:
    """Number of orbitals of every atom."""
    return [
        sum((2 * irrep["o3_lambda"] + 1) * irrep["num"] for irrep in irreps[number])
        for number in atoms.numbers
    ]


def check_atoms(atoms: ase.Atoms, basis: str) -> None:
    """Refuse what would give wrong matrices.

    :raises ValueError: for charged structures and those with unpaired electrons, or for
        basis sets that come with core potentials.
    """
    charge = atoms.info.get("charge", 0)
    multiplicity = atoms.info.get("spin_multiplicity", 1)
    if charge != 0 or multiplicity != 1 or atoms.get_initial_charges().any():
        raise ValueError(
            f"{atoms.symbols} has the charge {charge} and the multiplicity "
            f"{multiplicity}: only neutral molecules with closed shells are possible"
        )
    if sum(atoms.numbers) % 2:
        raise ValueError(
            f"{atoms.symbols} has {sum(atoms.numbers)} electrons: only closed shells "
            "are possible, with an even number"
        )
    if max(atoms.numbers) > 36:
        raise ValueError(
            f"{atoms.symbols} has atoms beyond Kr, which need core potentials: they "
            "are not possible here"
        )
    for symbol in sorted(set(atoms.symbols)):
        if _has_core_potential(basis, symbol):
            raise ValueError(
                f"the basis set {basis} is for the valence electrons of {symbol}, with "
                "a core potential, which is not possible here: take one for all "
                "electrons, such as def2-svp"
            )


def _has_core_potential(basis: str, symbol: str) -> bool:
    """Whether a basis set is for valence electrons only."""
    if any(name in basis.lower() for name in OTHER_POTENTIALS):
        return True
    try:
        return len(gto.basis.load_ecp(basis, symbol)) > 0
    except (KeyError, RuntimeError, ValueError, FileNotFoundError):  # there is none
        return False


@dataclass(frozen=True)
class Method:
    """Hartree-Fock or a density functional, with a basis set.

    :param name: ``hf``, or a functional by PySCF's name.
    :param basis: basis set by PySCF's name.
    :param minus: what is subtracted from the Fock matrices of the data: ``minao``, that
        of the superposition of atomic densities, or nothing.
    """

    name: str = "hf"
    basis: str = "sto-3g"
    minus: Optional[str] = None

    def molecule(self, atoms: ase.Atoms) -> gto.Mole:
        """PySCF's molecule; the errors are those of :func:`check_atoms`."""
        check_atoms(atoms, self.basis)
        geometry = list(zip(atoms.symbols, atoms.positions.tolist()))
        return gto.M(atom=geometry, basis=self.basis, verbose=0)

    def state(self, atoms: ase.Atoms) -> scf.hf.RHF:
        """The mean field, which has not been run."""
        mol = self.molecule(atoms)
        state = scf.RHF(mol) if self.name == "hf" else dft.RKS(mol, xc=self.name)
        state.conv_tol = 1e-10  # Hartree: errors of elements are below 1e-7
        return state

    def irreps(self, atoms: ase.Atoms) -> Irreps:
        """The orbitals of the types of a molecule, for the options file."""
        return atomic_basis(self.molecule(atoms))

    def matrices(self, atoms: ase.Atoms) -> Tuple[Matrices, Matrices]:
        """The Fock matrix in eV, less its reference, and the overlap, in our order.

        :raises RuntimeError: if self-consistency is not reached.
        """
        state = converged(self.state(atoms))
        order = np.ix_(*2 * [orbital_order(state.mol)])
        fock = state.get_fock()[order] * Hartree - self.reference(atoms)[HOME]
        return {HOME: fock}, {HOME: state.get_ovlp()[order]}

    def reference(self, atoms: ase.Atoms) -> Matrices:
        """What is added to predictions of :meth:`matrices`, in eV and our order."""
        state = self.state(atoms)
        if self.minus is None:
            return {HOME: np.zeros(2 * [state.mol.nao])}
        order = np.ix_(*2 * [orbital_order(state.mol)])
        return {HOME: fock_of_atoms(state)[order] * Hartree}

    def kpoints(self) -> List[Tuple[float, ...]]:
        """None of a molecule but zero."""
        return [(0.0, 0.0, 0.0)]

    def electrons(self, atoms: ase.Atoms) -> int:
        """Number of electrons."""
        return self.molecule(atoms).nelectron


def converged(state: scf.hf.RHF) -> scf.hf.RHF:
    """Run to self-consistency."""
    state.run()
    if not state.converged:
        positions = state.mol.atom_coords(unit="Angstrom")
        raise RuntimeError(f"no self-consistency at the positions (Å)\n{positions}")
    return state


def minimum(atoms: ase.Atoms, method: Method) -> ase.Atoms:
    """The geometry of least energy next to the given one.

    :raises RuntimeError: if it is not found.
    """
    result = atoms.copy()
    result.rattle(0.03, seed=0)  # without symmetry, that would keep a saddle point
    state = method.state(result)
    found, mol = ase_solver.kernel(state, logfile=os.devnull, fmax=0.01)
    if not found:
        raise RuntimeError(f"no minimum of {atoms.symbols}: start closer to it")
    result.positions = mol.atom_coords(unit="Angstrom")
    return _straightened(result)


def _straightened(atoms: ase.Atoms) -> ase.Atoms:
    """A molecule that is linear up to the accuracy of the minimum, made so exactly.

    A bend would be taken for a rotation otherwise, and one of two be missing.
    """
    moments, axes = atoms.get_moments_of_inertia(vectors=True)
    if len(atoms) > 2 and moments[0] < NEARLY_LINEAR * moments[-1]:
        center = atoms.get_center_of_mass()
        along = (atoms.positions - center) @ axes[0]
        atoms.positions = center + np.outer(along, axes[0])
    return atoms


def vibrations(atoms: ase.Atoms, method: Method) -> Tuple[np.ndarray, np.ndarray]:
    """Normal modes of a molecule at its minimum.

    :return: wavenumbers in 1/cm, ``(modes,)``, and displacements per unit of the normal
        coordinate, ``(modes, atoms, 3)`` in 1/√amu
    :raises RuntimeError: if the geometry is no minimum.
    """
    state = converged(method.state(atoms))
    analysis = thermo.harmonic_analysis(state.mol, state.Hessian().kernel())
    wavenumbers = analysis["freq_wavenumber"]
    imaginary = wavenumbers.imag[wavenumbers.imag > 0]
    if imaginary.size:
        raise RuntimeError(
            f"{atoms.symbols} has imaginary wavenumbers {imaginary.round(1)} 1/cm: the "
            "geometry is no minimum; start from another one"
        )
    return wavenumbers.real, analysis["norm_mode"]
