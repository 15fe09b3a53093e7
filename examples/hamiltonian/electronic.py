"""Electronic structure by PySCF: matrices of a molecule, its minimum, its vibrations.

Closed shells, without charge. Energies are in eV and lengths in Å, as in ASE.
"""

import os
from dataclasses import dataclass
from typing import Dict, List, Tuple

import ase
import numpy as np
from ase.units import Hartree
from pyscf import dft, gto, scf
from pyscf.geomopt import ase_solver
from pyscf.hessian import thermo

from metatrain_scalar_tensor.hamiltonian import (
    HOME,
    atomic_basis,
    atomic_types,
    orbital_order,
)


Irreps = Dict[int, List[Dict[str, int]]]
Matrices = Dict[Tuple[int, int, int], np.ndarray]


@dataclass(frozen=True)
class Method:
    """Hartree-Fock or a density functional, with a basis set.

    :param name: ``hf``, or a functional by PySCF's name.
    :param basis: basis set by PySCF's name.
    """

    name: str = "hf"
    basis: str = "sto-3g"

    def molecule(self, atoms: ase.Atoms) -> gto.Mole:
        """PySCF's molecule.

        :raises ValueError: if a shell is open.
        """
        if sum(atoms.numbers) % 2:
            raise ValueError(
                f"{atoms.symbols} has {sum(atoms.numbers)} electrons: only closed "
                "shells are possible, with an even number"
            )
        geometry = list(zip(atoms.symbols, atoms.positions.tolist()))
        mol = gto.M(atom=geometry, basis=self.basis, verbose=0)
        assert atomic_types(mol) == atoms.numbers.tolist()
        return mol

    def state(self, atoms: ase.Atoms) -> scf.hf.RHF:
        """The mean field, which has not been run."""
        mol = self.molecule(atoms)
        state = scf.RHF(mol) if self.name == "hf" else dft.RKS(mol, xc=self.name)
        state.conv_tol = 1e-10  # Hartree: elements are then exact to 1e-8
        return state

    def irreps(self, atoms: ase.Atoms) -> Irreps:
        """The orbitals of the types of a molecule, for the options file."""
        return atomic_basis(self.molecule(atoms))

    def matrices(self, atoms: ase.Atoms) -> Tuple[Matrices, Matrices]:
        """The Fock matrix in eV and the overlap, in our order of orbitals.

        :raises RuntimeError: if self-consistency is not reached.
        """
        state = converged(self.state(atoms))
        order = np.ix_(*2 * [orbital_order(state.mol)])
        fock, overlap = state.get_fock(), state.get_ovlp()
        return {HOME: fock[order] * Hartree}, {HOME: overlap[order]}


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
    return result


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
