"""A crystal without PySCF: graphene with a tight-binding model of s and p orbitals."""

import itertools
from typing import List, Tuple

import ase
import ase.build
import numpy as np
from ase.neighborlist import neighbor_list
from electronic import Irreps, Matrices

from metatrain_scalar_tensor.hamiltonian import HOME


# Of carbon, in eV at the bond length in Å, as common for graphene: Saito, Dresselhaus
# and Dresselhaus, Physical Properties of Carbon Nanotubes (1998), taken for orthogonal
# orbitals, and falling off with the square of the distance.
E_S, E_P = -8.868, 0.0
SS_SIGMA, SP_SIGMA, PP_SIGMA, PP_PI = -6.769, 5.580, 5.037, -3.033
BOND, REACH = 1.42, 2.0


class TightBinding:
    """Slater-Koster matrices of carbon atoms: s, then p as y, z, x."""

    def irreps(self, atoms: ase.Atoms) -> Irreps:
        """The orbitals of carbon, for the options file."""
        return {6: [{"o3_lambda": l, "o3_sigma": 1, "num": 1} for l in (0, 1)]}

    def kpoints(self) -> List[Tuple[float, ...]]:
        """0, 1/4 and 1/2 of both periods."""
        return list(itertools.product([0.0, 0.25, 0.5], [0.0, 0.25, 0.5], [0.0]))

    def electrons(self, atoms: ase.Atoms) -> int:
        """Number of valence electrons."""
        return 4 * len(atoms)

    def reference(self, atoms: ase.Atoms) -> Matrices:
        """Nothing."""
        return {HOME: np.zeros(2 * [4 * len(atoms)])}

    def matrices(self, atoms: ase.Atoms) -> Tuple[Matrices, Matrices]:
        """The Hamiltonian in eV and the overlap, of orthogonal orbitals."""
        size = 4 * len(atoms)
        matrices = {HOME: np.diag(np.tile([E_S, E_P, E_P, E_P], len(atoms)))}
        for i, j, shift, vector in zip(*neighbor_list("ijSD", atoms, REACH)):
            distance = np.linalg.norm(vector)
            u = vector[[1, 2, 0]] / distance
            block = np.zeros((4, 4))
            block[0, 0] = SS_SIGMA
            block[0, 1:], block[1:, 0] = SP_SIGMA * u, -SP_SIGMA * u
            # PP_SIGMA is of orbitals with their positive lobes to the same side
            block[1:, 1:] = PP_PI * np.eye(3) + (PP_SIGMA - PP_PI) * np.outer(u, u)
            block *= (BOND / distance) ** 2 * (1 - (distance / REACH) ** 8) ** 2
            a, b, c = shift.tolist()
            matrix = matrices.setdefault((a, b, c), np.zeros((size, size)))
            matrix[4 * i : 4 * i + 4, 4 * j : 4 * j + 4] = block
        return matrices, {HOME: np.eye(size)}


def graphene() -> ase.Atoms:
    """A sheet of eight atoms."""
    sheet = ase.build.graphene(a=np.sqrt(3) * BOND, vacuum=None, size=(2, 2, 1))
    sheet.pbc = [True, True, False]
    return sheet
