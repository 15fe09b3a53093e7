"""Write Fock matrices of distorted molecules, or of graphene, as data of metatrain.

::

    python make_data.py train.zip --molecules water --number 400
    python make_data.py train.zip --molecules water ethanol --basis def2-svp
    python make_data.py train.zip --periodic

Every atom of ASE's geometry is displaced at random. Matrices are in eV: restricted
Hartree-Fock by PySCF, or a tight-binding model with s and p orbitals. Prints the
``irreps`` for the options file.
"""

import argparse
import itertools
from typing import Dict, List, Tuple

import ase
import ase.build
import numpy as np
import torch
from ase.neighborlist import neighbor_list
from ase.units import Hartree
from metatomic.torch import systems_to_torch
from metatrain.utils.data.writers import DiskDatasetWriter

from metatrain_scalar_tensor.hamiltonian import (
    HOME,
    atomic_basis,
    atomic_types,
    orbital_order,
    to_targets,
)


MOLECULES = {"water": "H2O", "ethanol": "CH3CH2OH"}
Irreps = Dict[int, List[Dict[str, int]]]
Matrices = Dict[Tuple[int, int, int], np.ndarray]

# Tight binding of carbon in eV at the bond length in Å, as common for graphene:
# Saito, Dresselhaus and Dresselhaus, Physical Properties of Carbon Nanotubes (1998),
# taken for orthogonal orbitals, and falling off with the square of the distance.
E_S, E_P = -8.868, 0.0
SS_SIGMA, SP_SIGMA, PP_SIGMA, PP_PI = -6.769, 5.580, 5.037, -3.033
BOND, REACH = 1.42, 2.0
CARBON: Irreps = {6: [{"o3_lambda": l, "o3_sigma": 1, "num": 1} for l in (0, 1)]}


def fock_matrix(frame: ase.Atoms, basis_set: str) -> Tuple[Matrices, Irreps]:
    """Of a molecule, in eV and in our order of orbitals."""
    from pyscf import gto, scf

    atoms = list(zip(frame.symbols, frame.positions.tolist()))
    mol = gto.M(atom=atoms, basis=basis_set, verbose=0)
    assert atomic_types(mol) == frame.numbers.tolist()
    mean_field = scf.RHF(mol).run(conv_tol=1e-10)
    assert mean_field.converged
    order = orbital_order(mol)
    fock = mean_field.get_fock()[np.ix_(order, order)]
    return {HOME: fock * Hartree}, atomic_basis(mol)


def tight_binding(frame: ase.Atoms) -> Tuple[Matrices, Irreps]:
    """Slater-Koster matrices of carbon atoms: s, then p as y, z, x."""
    size = 4 * len(frame)
    matrices = {HOME: np.diag(np.tile([E_S, E_P, E_P, E_P], len(frame)))}
    for i, j, shift, vector in zip(*neighbor_list("ijSD", frame, REACH)):
        distance = np.linalg.norm(vector)
        u = vector[[1, 2, 0]] / distance
        block = np.zeros((4, 4))
        block[0, 0] = SS_SIGMA
        block[0, 1:], block[1:, 0] = SP_SIGMA * u, -SP_SIGMA * u
        # PP_SIGMA is that of orbitals with their positive lobes to the same side
        block[1:, 1:] = PP_PI * np.eye(3) + (PP_SIGMA - PP_PI) * np.outer(u, u)
        block *= (BOND / distance) ** 2 * (1 - (distance / REACH) ** 8) ** 2
        a, b, c = shift.tolist()
        matrix = matrices.setdefault((a, b, c), np.zeros((size, size)))
        matrix[4 * i : 4 * i + 4, 4 * j : 4 * j + 4] = block
    return matrices, CARBON


def graphene() -> ase.Atoms:
    """A sheet of eight atoms."""
    sheet = ase.build.graphene(a=np.sqrt(3) * BOND, vacuum=None, size=(2, 2, 1))
    sheet.pbc = [True, True, False]
    return sheet


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", help="file to write, .zip")
    parser.add_argument("--molecules", nargs="+", default=["water"], choices=MOLECULES)
    parser.add_argument("--periodic", action="store_true", help="graphene instead")
    parser.add_argument("--number", type=int, default=100, help="geometries of each")
    parser.add_argument("--basis", default="sto-3g")
    parser.add_argument(
        "--displacement", type=float, default=0.05, help="standard deviation in Å"
    )
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    rng = np.random.default_rng(arguments.seed)
    if arguments.periodic:
        ideal = [graphene()]
    else:
        ideal = [ase.build.molecule(MOLECULES[name]) for name in arguments.molecules]
    everything = []
    irreps: Irreps = {}
    for _, equilibrium in itertools.product(range(arguments.number), ideal):
        frame = equilibrium.copy()
        frame.positions += rng.normal(
            scale=arguments.displacement, size=(len(frame), 3)
        )
        if arguments.periodic:
            matrices, basis = tight_binding(frame)
        else:
            matrices, basis = fock_matrix(frame, arguments.basis)
        irreps |= basis
        everything.append((frame, matrices))

    # all structures have the blocks of all types
    writer = DiskDatasetWriter(arguments.output)
    for frame, matrices in everything:
        onsite, offsite = to_targets(matrices, frame.numbers.tolist(), irreps)
        targets = {"mtt::fock_onsite": onsite, "mtt::fock_offsite": offsite}
        writer.write([systems_to_torch(frame, dtype=torch.float64)], targets)
    writer.finish()
    print(f"{len(everything)} structures in {arguments.output}; irreps:")
    for atom_type, shells in sorted(irreps.items()):
        print(f"  {atom_type}: {shells}".replace("'", ""))


if __name__ == "__main__":
    main()
