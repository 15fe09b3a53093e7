r"""Crystals by PySCF, with k-points: matrices of all cell shifts of the mesh.

.. math::
    \frac{1}{N} \sum_k e^{-2 \pi i k \cdot T} H_{ij}(k)
    = \sum_M H_{ij}(T + n \cdot M)

With :math:`n` k-points along a direction this is the sum over images that are n cells
apart, of which only the nearest one to atom i should count. It is given to this one,
or in equal parts to all that are as near.
"""

import itertools
import warnings
from dataclasses import dataclass
from typing import Dict, List, Tuple

import ase
import numpy as np
from ase.units import Hartree
from electronic import (
    Irreps,
    Matrices,
    check_atoms,
    converged,
    orbitals_of_atoms,
)
from pyscf.pbc import dft, gto, scf

from metatrain_scalar_tensor.hamiltonian import HOME, atomic_basis, orbital_order


BOX = 15.0  # Å, period along directions without one
NEAR = 1e-3  # Å, by which images may differ that are as near
FAR = 0.4  # of the mesh: about the distance up to which images can be told apart
LARGE = 1e-2  # of overlaps between orbitals that are so far apart


@dataclass(frozen=True)
class Crystal:
    """Hartree-Fock or a density functional, with Gaussian orbitals and density fitting.

    :param name: ``hf``, or a functional by PySCF's name.
    :param basis: basis set by PySCF's name.
    :param mesh: odd numbers of k-points along the cell vectors.
    """

    name: str
    basis: str
    mesh: Tuple[int, int, int]

    def cell(self, atoms: ase.Atoms) -> gto.Cell:
        """PySCF's cell; the errors are those of :func:`electronic.check_atoms`."""
        check_atoms(atoms, self.basis)
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
        atom_of = np.repeat(
            np.arange(len(atoms)), orbitals_of_atoms(atoms, self.irreps(atoms))
        )
        hamiltonian: Matrices = {}
        overlaps: Matrices = {}
        for shift in itertools.product(*(range(n) for n in self.mesh)):
            phases = np.exp(-2j * np.pi * (k @ shift)) / len(k)
            # real, since the mesh has -k with every k
            h, s = (np.tensordot(phases, m, 1).real[order] for m in (fock, overlap))
            for image, parts in self._nearest_images(atoms, shift).items():
                part = parts[np.ix_(atom_of, atom_of)]  # (orbitals, orbitals)
                for matrices, m in ((hamiltonian, Hartree * h), (overlaps, s)):
                    matrices.setdefault(image, np.zeros_like(m))[:] += part * m
        self._warn_of_coarse_mesh(atoms, atom_of, overlaps)
        return hamiltonian, overlaps

    def kpoints(self) -> List[Tuple[float, ...]]:
        """Those of the mesh, one of every k and -k, in units of reciprocal vectors."""
        half = (np.array(self.mesh) // 2).tolist()
        all_of_mesh = itertools.product(*(range(-n, n + 1) for n in half))
        return [
            tuple(i / n for i, n in zip(numbers, self.mesh))
            for numbers in all_of_mesh
            if numbers >= (0, 0, 0)
        ]

    def _nearest_images(
        self, atoms: ase.Atoms, shift: Tuple[int, ...]
    ) -> Dict[Tuple[int, int, int], np.ndarray]:
        """Where the block of every pair of atoms belongs.

        :param atoms: the crystal.
        :param shift: cell shift of the second atom, one of the equivalent ones.
        :return: for each cell shift the part of the block, ``(atoms, atoms)``
        """
        vectors, mesh = atoms.cell[:], np.array(self.mesh)
        # cells between the atoms, in the directions that have any
        positions = atoms.get_scaled_positions(wrap=False) * atoms.cell.any(1)
        between = positions[None] - positions[:, None] + shift  # (atoms, atoms, 3)
        first = -np.round(between / mesh).astype(int) * atoms.pbc
        around = [range(-1, 2) if periodic else [0] for periodic in atoms.pbc]
        candidates = np.array(list(itertools.product(*around)))  # (candidates, 3)
        images = shift + mesh * (first[:, :, None] + candidates)
        differences = atoms.positions[None] - atoms.positions[:, None]
        distances = np.linalg.norm(differences[:, :, None] + images @ vectors, axis=3)
        is_nearest = distances < distances.min(2, keepdims=True) + NEAR
        parts = is_nearest / is_nearest.sum(2, keepdims=True)
        result: Dict[Tuple[int, int, int], np.ndarray] = {}
        for i, j, n in np.argwhere(is_nearest):
            a, b, c = images[i, j, n].tolist()
            of_image = result.setdefault((a, b, c), np.zeros(2 * [len(atoms)]))
            of_image[i, j] = parts[i, j, n]
        return result

    def _warn_of_coarse_mesh(
        self, atoms: ase.Atoms, atom_of: np.ndarray, overlaps: Matrices
    ) -> None:
        """Say if orbitals overlap that are about as far apart as the mesh can tell."""
        positions = atoms.get_scaled_positions(wrap=False)[atom_of]  # (orbitals, 3)
        largest = np.zeros(3)
        for shift, matrix in overlaps.items():
            between = np.abs(positions[None] - positions[:, None] + shift)
            is_far = between > FAR * np.array(self.mesh)  # (orbitals, orbitals, 3)
            far = np.abs(matrix)[:, :, None] * is_far
            largest = np.maximum(largest, far.max((0, 1)))
        for name, n, overlap in zip("abc", self.mesh, largest * atoms.pbc):
            if overlap > LARGE:
                warnings.warn(
                    f"orbitals {n / 2} cells apart along cell vector {name} have "
                    f"overlaps of {overlap:.1g}: bands between the k-points are wrong. "
                    f"Take more than {n} there (--kpoints)",
                    stacklevel=3,
                )
