"""Make the small sets of molecular properties in ``data/``, with PySCF.

::

    pip install ".[hamiltonian]" pyscf-properties==0.1.0
    python scripts/reference_data.py shieldings data/shieldings.xyz
    python scripts/reference_data.py hyperpolarizability data/hyperpolarizability.xyz
    python scripts/reference_data.py density data/density/water_jfit.zip
    python scripts/reference_data.py ions data/ions.xyz
    python scripts/reference_data.py atoms data/ethanol_atoms.xyz

Every molecule of ASE is turned at random, and its atoms are displaced at random.
Restricted Hartree-Fock, except for ``ions`` and ``atoms``. ``density`` prints the
``irreps`` for the options file.
"""

import argparse
import itertools
from pathlib import Path
from typing import Any, Dict, List, Tuple

import ase
import ase.build
import ase.io
import numpy as np
import torch
from ase.units import Bohr, Hartree, kcal
from ase.units import mol as mole
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import systems_to_torch
from metatrain.utils.data.writers import DiskDatasetWriter
from pyscf import df, dft, gto, scf
from scipy.spatial.transform import Rotation

from metatrain_scalar_tensor.hamiltonian import (
    Basis,
    atomic_basis,
    atomic_types,
    orbital_order,
)


DISPLACEMENT = 0.05  # Å, standard deviation
FIELD = 0.004  # atomic units, step of the finite differences
AUXILIARY_BASIS = "def2-universal-jfit"
# total charge in e and spin multiplicity of the states of a geometry
STATES = {
    "H2O": [(0, 1), (1, 2)],
    "NH2": [(0, 2), (-1, 1), (1, 3)],
    "CH2_s1A1d": [(0, 1), (0, 3)],
    "NO2": [(0, 2), (-1, 1), (1, 1)],
}


def geometries(molecules: List[str], number: int) -> List[ase.Atoms]:
    """Distorted molecules, ``number`` of each, in turns."""
    rng = np.random.default_rng(0)
    frames = []
    for _, name in itertools.product(range(number), molecules):
        frame = ase.build.molecule(name)
        frame.positions = frame.positions @ Rotation.random(rng=rng).as_matrix().T
        frame.positions += rng.normal(scale=DISPLACEMENT, size=(len(frame), 3))
        frames.append(frame)
    return frames


def mean_field(frame: ase.Atoms, basis_set: str) -> Any:
    """A converged restricted Hartree-Fock calculation of PySCF."""
    atoms = list(zip(frame.symbols, frame.positions.tolist()))
    mol = gto.M(atom=atoms, basis=basis_set, verbose=0)
    result = scf.RHF(mol).run(conv_tol=1e-12)
    assert result.converged
    return result


def shielding(frame: ase.Atoms) -> np.ndarray:
    r"""Nuclear magnetic shieldings of all atoms, with gauge-including orbitals.

    :param frame: molecule.
    :return: :math:`\sigma_{ij}` in ppm, ``(atoms, 3, 3)``: i is the direction of the
        external field, j that of the nuclear moment.
    """
    from pyscf.prop import nmr

    calculation = mean_field(frame, "6-31g*")
    orbitals = calculation.mo_coeff
    occupied = orbitals[:, calculation.mo_occ > 0]
    response = calculation.gen_response(hermi=2)

    def induced_potential(first_order: np.ndarray) -> np.ndarray:
        """As PySCF's own, which fails when directions converge one by one."""
        shape = (-1, orbitals.shape[1], occupied.shape[1])
        density = 2 * orbitals @ first_order.reshape(shape) @ occupied.T
        density = density - density.transpose(0, 2, 1)
        potential = orbitals.T @ response(density) @ occupied
        return potential.reshape(first_order.shape)

    calculation_of_nmr = nmr.RHF(calculation)
    calculation_of_nmr.cphf = induced_potential
    return np.asarray(calculation_of_nmr.kernel())


def dipole_in_field(calculation: Any, field: np.ndarray) -> np.ndarray:
    """Dipole of a molecule in a homogeneous electric field, in atomic units.

    :param calculation: converged without the field.
    :param field: ``(3,)``
    """
    mol = calculation.mol
    in_field = scf.RHF(mol)
    potential = np.einsum("x,xij->ij", field, mol.intor("int1e_r"))
    hcore = calculation.get_hcore() + potential
    in_field.get_hcore = lambda *arguments: hcore
    in_field.run(dm0=calculation.make_rdm1(), conv_tol=1e-12)
    assert in_field.converged
    return in_field.dip_moment(unit="AU", verbose=0)


def hyperpolarizability(frame: ase.Atoms) -> np.ndarray:
    r"""First hyperpolarizability by finite differences of the dipole.

    :param frame: molecule.
    :return: :math:`\beta_{ijk} = \partial^2 \mu_i / \partial F_j \partial F_k` without
        field, in atomic units, symmetric in all indices, ``(3, 3, 3)``
    """
    calculation = mean_field(frame, "6-31+g*")
    unit = FIELD * np.eye(3)
    beta = np.empty((3, 3, 3))
    for j, k in itertools.product(range(3), repeat=2):
        if j <= k:
            second = sum(
                s * t * dipole_in_field(calculation, s * unit[j] + t * unit[k])
                for s, t in itertools.product([1, -1], repeat=2)
            )
            beta[:, j, k] = beta[:, k, j] = second / (4 * FIELD**2)
    orders = itertools.permutations(range(3))
    return np.mean([beta.transpose(order) for order in orders], axis=0)


def density_coefficients(frame: ase.Atoms) -> tuple[np.ndarray, Basis]:
    r"""Electron density fitted in an auxiliary basis, with the Coulomb metric.

    :param frame: molecule.
    :return: :math:`c` of :math:`\rho = \sum_P c_P \, \chi_P` in atomic units and in the
        order of this package, and the functions of every type of atom.
    """
    calculation = mean_field(frame, "def2-svp")
    mol = calculation.mol
    auxiliary = df.make_auxmol(mol, AUXILIARY_BASIS)
    assert atomic_types(auxiliary) == frame.numbers.tolist()
    three_center = df.incore.aux_e2(mol, auxiliary)
    potential = np.einsum("ijp,ji->p", three_center, calculation.make_rdm1())
    coefficients = np.linalg.solve(auxiliary.intor("int2c2e"), potential)
    return coefficients[orbital_order(auxiliary)], atomic_basis(auxiliary)


def density_target(coefficients: np.ndarray, types: List[int], basis: Basis) -> Any:
    """Coefficients with metatrain's layout for an atomic basis.

    :param coefficients: by atom, then ``l``, then ``n``, then ``m``, ``(functions,)``
    :param types: atomic numbers, ``(atoms,)``
    :param basis: functions of every type.
    :return: blocks ``(atoms of a type, 2l + 1, n)``, as system 0.
    """
    values: Dict[tuple[int, int], Dict[int, np.ndarray]] = {}  # l, type -> atom -> c
    start = 0
    for atom, atom_type in enumerate(types):
        for irrep in basis[atom_type]:
            l, num = irrep["o3_lambda"], irrep["num"]
            stop = start + num * (2 * l + 1)
            c = coefficients[start:stop].reshape(num, 2 * l + 1).T
            values.setdefault((l, atom_type), {})[atom] = c
            start = stop
    blocks = []
    for (l, _), of_atom in values.items():
        of_type = torch.tensor(np.array(list(of_atom.values())))
        atoms = torch.tensor([[0, atom] for atom in of_atom])
        blocks.append(
            TensorBlock(
                of_type,
                Labels(["system", "atom"], atoms),
                [Labels("o3_mu", torch.arange(-l, l + 1).reshape(-1, 1))],
                Labels.range("n", of_type.shape[2]),
            )
        )
    keys = torch.tensor([[l, 1, atom_type] for l, atom_type in values])
    return TensorMap(Labels(["o3_lambda", "o3_sigma", "atom_type"], keys), blocks)


def energy_and_forces(
    frame: ase.Atoms, charge: int, spin_multiplicity: int, functional: str = "PBE0"
) -> Tuple[float, np.ndarray]:
    """Of one electronic state, with an unrestricted functional in def2-SVP.

    :param frame: molecule.
    :param charge: total charge in e.
    :param spin_multiplicity: 2S + 1.
    :param functional: by PySCF's name.
    :return: in eV and eV/Å, ``(atoms, 3)``.
    """
    atoms = list(zip(frame.symbols, frame.positions.tolist()))
    spin = spin_multiplicity - 1  # number of unpaired electrons
    mol = gto.M(atom=atoms, basis="def2-svp", charge=charge, spin=spin, verbose=0)
    state = dft.UKS(mol, xc=functional).run(conv_tol=1e-10, max_cycle=200)
    assert state.converged
    gradient = state.nuc_grad_method().kernel()
    return state.e_tot * Hartree, -gradient * Hartree / Bohr


def write_shieldings(path: Path) -> None:
    """48 molecules, with the shieldings of their atoms."""
    frames = geometries(["H2O", "CH3OH", "H2CO", "HCOOH"], 12)
    for frame in frames:
        frame.arrays["shielding"] = shielding(frame).reshape(-1, 9).round(4)
    ase.io.write(path, frames, format="extxyz")


def write_hyperpolarizability(path: Path) -> None:
    """48 geometries of water, with their hyperpolarizability."""
    frames = geometries(["H2O"], 48)
    for frame in frames:
        frame.info["beta"] = hyperpolarizability(frame).flatten().round(4)
    ase.io.write(path, frames, format="extxyz")


def write_density(path: Path) -> None:
    """26 geometries of water, with the coefficients of their density."""
    writer = DiskDatasetWriter(path)
    irreps: Basis = {}
    for frame in geometries(["H2O"], 26):
        coefficients, irreps = density_coefficients(frame)
        target = density_target(coefficients, frame.numbers.tolist(), irreps)
        system = systems_to_torch(frame, dtype=torch.float64)
        writer.write([system], {"mtt::density": target})
    writer.finish()
    for atom_type, shells in irreps.items():
        print(f"  {atom_type}: {shells}".replace("'", ""))


def write_ions(path: Path) -> None:
    """24 geometries of each of four molecules, in two or three electronic states."""
    frames = []
    states = itertools.cycle(STATES.values())
    for geometry, of_geometry in zip(geometries(list(STATES), 24), states):
        # without the magnetic moments that ASE gives its radicals
        molecule = ase.Atoms(geometry.symbols, geometry.positions.round(6))
        for charge, spin_multiplicity in of_geometry:
            frame = molecule.copy()
            energy, forces = energy_and_forces(frame, charge, spin_multiplicity)
            frame.info["charge"] = charge
            frame.info["spin_multiplicity"] = spin_multiplicity
            frame.info["energy"], frame.arrays["forces"] = energy, forces.round(6)
            frames.append(frame)
    ase.io.write(path, frames, format="extxyz")


def write_atoms(path: Path) -> None:
    """Isolated atoms, with the method and the units of ``ethanol_reduced_100.xyz``."""
    frames = []
    for symbol, spin_multiplicity in (("H", 2), ("C", 3), ("O", 3)):
        frame = ase.Atoms(symbol)
        energy, _ = energy_and_forces(frame, 0, spin_multiplicity, "PBE")
        frame.info["energy"] = energy * mole / kcal
        frame.arrays["forces"] = np.zeros((1, 3))
        frames.append(frame)
    ase.io.write(path, frames, format="extxyz")


SETS = {
    "shieldings": write_shieldings,
    "hyperpolarizability": write_hyperpolarizability,
    "density": write_density,
    "ions": write_ions,
    "atoms": write_atoms,
}


def main() -> None:
    """Make one set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("set", choices=SETS)
    parser.add_argument("output", type=Path, help="file to write")
    arguments = parser.parse_args()
    SETS[arguments.set](arguments.output)


if __name__ == "__main__":
    main()
