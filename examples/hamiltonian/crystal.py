r"""Crystals by PySCF, with k-points: matrices of all cell shifts of the mesh.

.. math::
    H(T) = \frac{1}{N} \sum_k e^{-2 \pi i k \cdot T} H(k)
"""

import itertools
from dataclasses import dataclass
from typing import Tuple

import ase
import numpy as np
from ase.units import Hartree
from electronic import Irreps, Matrices, check_atoms, converged
from pyscf.pbc import dft, gto, scf

from metatrain_scalar_tensor.hamiltonian import HOME, atomic_basis, orbital_order


BOX = 15.0  # Å, period along directions without one


@dataclass(frozen=True)
class Crystal:
    """Hartree-Fock or a density functional, with Gaussian orbitals and density fitting.

    :param name: ``hf``, or a functional by PySCF's name.
    :param basis: basis set by PySCF's name.
    :param mesh: odd numbers of k-points along the cell vectors: with n of them, T goes
        from ``-(n - 1) / 2`` to ``(n - 1) / 2``.
    """

    name: str
    basis: str
    mesh: Tuple[int, int, int]

    def cell(self, atoms: ase.Atoms) -> gto.Cell:
        """PySCF's cell; the errors are those of :func:`electronic.check_atoms`."""
        check_atoms(atoms)
        vectors = atoms.cell.complete()[:]
        vectors[~atoms.cell.any(1)] *= BOX  # unit vectors so far
        geometry = list(zip(atoms.symbols, atoms.positions.tolist()))
        return gto.M(a=vectors, atom=geometry, basis=self.basis, verbose=0)

    def irreps(self, atoms: ase.Atoms) -> Irreps:
        """The orbitals of the types of a crystal, for the options file."""
        return atomic_basis(self.cell(atoms))

    def electrons(self, atoms: ase.Atoms) -> int:
        """Number of electrons in a cell."""
        return self.cell(atoms).nelectron

    def reference(self, atoms: ase.Atoms) -> Matrices:
        """Nothing."""
        return {HOME: np.zeros(2 * [self.cell(atoms).nao])}

    def matrices(self, atoms: ase.Atoms) -> Tuple[Matrices, Matrices]:
        """The Hamiltonian in eV and the overlap, in our order.

        :raises RuntimeError: if self-consistency is not reached.
        """
        cell = self.cell(atoms)
        k = cell.make_kpts(self.mesh)
        state = scf.KRHF(cell, k) if self.name == "hf" else dft.KRKS(cell, k)
        if self.name != "hf":
            state.xc = self.name
        state = converged(state.density_fit())
        fock, overlap = state.get_fock(), state.get_ovlp()  # (k, orbitals, orbitals)
        k, order = cell.get_scaled_kpts(k), np.ix_(*2 * [orbital_order(cell)])
        shifts = itertools.product(*(range(-(n // 2), n // 2 + 1) for n in self.mesh))
        hamiltonian, overlaps = {}, {}
        for shift in shifts:
            phases = np.exp(-2j * np.pi * (k @ shift)) / len(k)
            # real, since the mesh has -k with every k
            at_shift = (np.tensordot(phases, m, 1).real[order] for m in (fock, overlap))
            hamiltonian[shift], overlaps[shift] = at_shift
        return {shift: Hartree * m for shift, m in hamiltonian.items()}, overlaps
