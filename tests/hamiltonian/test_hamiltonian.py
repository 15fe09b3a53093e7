"""Matrices between atomic orbitals as targets: layout, symmetry, and training."""

import ase
import ase.build
import numpy as np
import pytest
import torch
from metatensor.torch import (
    allclose,
    append_dimension,
    join,
    permute_dimensions,
    remove_dimension,
)
from metatomic.torch import ModelOutput
from metatomic.torch.o3 import O3Transformations
from metatrain.utils.data import DiskDataset
from metatrain.utils.data.target_info import get_generic_target_info
from metatrain.utils.io import load_model

from equivariance import operations
from files import DATA
from helpers import prepare, target
from metatrain_scalar_tensor.hamiltonian import (
    HOME,
    atomic_basis,
    atomic_types,
    bloch,
    fock_of_atoms,
    near_pairs,
    orbital_order,
    to_matrices,
    to_targets,
)
from options import train_in, write_options


MOLECULES = {"water": "H2O", "ethanol": "CH3CH2OH"}
SETS = ["sto-3g", "def2-svp"]
TARGETS = {"mtt::fock_onsite": "atom", "mtt::fock_offsite": "atom_pair"}
WATER = DATA / "hamiltonian" / "water_sto3g.zip"


def molecule(name, basis, matrix=None, **changes):
    """PySCF's molecule, in a place of its own or transformed."""
    gto = pytest.importorskip("pyscf").gto
    atoms = ase.build.molecule(MOLECULES[name])
    atoms.rattle(0.1, seed=1)
    positions = atoms.positions if matrix is None else atoms.positions @ matrix.T
    geometry = list(zip(atoms.symbols, positions.tolist()))
    return gto.M(atom=geometry, basis=basis, verbose=0, **changes)


def core_hamiltonian(mol):
    """With nuclei, that are no symmetry, in our order of orbitals."""
    order = orbital_order(mol)
    matrix = mol.intor("int1e_kin") + mol.intor("int1e_nuc")
    return matrix[np.ix_(order, order)]


def layouts(basis):
    """metatrain's layouts of the blocks of atoms and of pairs."""
    irreps = {"irreps": basis, "product": "cartesian"}
    for kind in ("atom", "atom_pair"):
        info = target(type={"spherical": irreps}, sample_kind=kind)
        yield get_generic_target_info("mtt::h", info).layout


def random_matrices(types, basis, seed=0):
    """H(T) of some shifts, with the symmetry of a Hamiltonian."""
    size = sum((2 * i["o3_lambda"] + 1) * i["num"] for t in types for i in basis[t])
    rng = np.random.default_rng(seed)
    matrices = {}
    for shift in [(0, 0, 0), (1, 0, 0), (0, -1, 2)]:
        matrix = rng.normal(size=(size, size))
        if shift == HOME:
            matrix = matrix + matrix.T
        matrices[shift] = matrix
        matrices[tuple(-t for t in shift)] = matrix.T
    return matrices


TYPES = [8, 1, 6, 1]
BASIS = {
    1: [{"o3_lambda": 0, "o3_sigma": 1, "num": 1}],
    6: [{"o3_lambda": l, "o3_sigma": 1, "num": 3 - l} for l in (0, 1, 2)],
    8: [{"o3_lambda": l, "o3_sigma": 1, "num": 2} for l in (0, 1)],
}


@pytest.mark.parametrize("basis_set", SETS)
@pytest.mark.parametrize("name", MOLECULES)
def test_molecules_there_and_back(name, basis_set):
    mol = molecule(name, basis_set)
    basis, types, matrix = atomic_basis(mol), atomic_types(mol), core_hamiltonian(mol)
    found = to_matrices(*to_targets({HOME: matrix}, types, basis), types)
    assert list(found) == [HOME]
    assert np.array_equal(found[HOME].numpy(), matrix)


def test_crystal_there_and_back():
    matrices = random_matrices(TYPES, BASIS)
    onsite, offsite = to_targets(matrices, TYPES, BASIS)
    pairs = {tuple(s) for b in offsite.blocks() for s in b.samples.values.tolist()}
    assert len(pairs) == len(matrices) * len(TYPES) ** 2 - len(TYPES)
    assert {(s, j, i, -a, -b, -c) for s, i, j, a, b, c in pairs} == pairs
    found = to_matrices(onsite, offsite, TYPES)
    assert found.keys() == matrices.keys()
    for shift, matrix in matrices.items():
        assert np.array_equal(found[shift].numpy(), matrix)
    at_k = bloch(found, [0.1, 0.2, -0.3])
    torch.testing.assert_close(at_k, at_k.mH)
    assert at_k.imag.abs().max() > 0.1
    at_zero = sum(torch.as_tensor(m) for m in matrices.values())
    torch.testing.assert_close(bloch(matrices, [0, 0, 0]).real, at_zero)


def test_crystal_of_pyscf():
    """H(T) from a mesh of k-points gives PySCF's matrix at another one."""
    gto = pytest.importorskip("pyscf.pbc.gto")
    a = np.diag([3.0, 12.0, 12.0])  # Å, a chain
    atoms = "O 0 0 0; H 0.9 0.2 0.1; H -0.4 0.8 -0.3"
    cell = gto.M(atom=atoms, a=a, basis="sto-3g", verbose=0)
    order = orbital_order(cell)

    def overlap(k):
        matrix = cell.pbc_intor("int1e_ovlp", kpts=cell.get_abs_kpts(np.array([k])))
        return matrix[0][np.ix_(order, order)]

    mesh = np.arange(-5, 6)
    of_mesh = np.array([overlap([k / len(mesh), 0.0, 0.0]) for k in mesh])
    matrices = {}
    for shift in mesh.tolist():
        phases = np.exp(-2j * np.pi * mesh * shift / len(mesh))
        matrix = np.einsum("k,kij->ij", phases, of_mesh) / len(mesh)
        assert np.abs(matrix.imag).max() < 1e-10
        matrices[shift, 0, 0] = matrix.real
    types = atomic_types(cell)
    found = to_matrices(*to_targets(matrices, types, atomic_basis(cell)), types)
    k = [0.13, 0.0, 0.0]
    assert np.abs(overlap(k).imag).max() > 1e-2
    np.testing.assert_allclose(bloch(found, k), overlap(k), atol=1e-8)


def test_elements_are_where_they_belong():
    """Of one element of every block, by hand: O has s, s, p, p, and H and C follow."""
    matrix = random_matrices(TYPES, BASIS)[HOME]
    onsite, offsite = to_targets({HOME: matrix}, TYPES, BASIS)
    key = {"o3_lambda_1": 0, "o3_lambda_2": 1, "o3_sigma_1": 1, "o3_sigma_2": 1}
    block = onsite.block({**key, "atom_type": 8})
    # second s, first p, m = 1: properties are n_1 = 1, n_2 = 0
    assert block.values[0, 0, 2, 2] == matrix[1, 4]
    block = offsite.block({**key, "first_atom_type": 1, "second_atom_type": 8})
    assert block.samples.values.tolist() == [[0, 1, 0, 0, 0, 0], [0, 3, 0, 0, 0, 0]]
    # the only s of the first H, the second p of O, m = -1
    assert block.values[0, 0, 0, 1] == matrix[8, 5]


@pytest.mark.parametrize("types", [TYPES, [1, 1]])
def test_layout_is_that_of_metatrain(types):
    for found, layout in zip(
        to_targets(random_matrices(types, BASIS), types, BASIS), layouts(BASIS)
    ):
        assert found.keys == layout.keys
        for key, block in found.items():
            expected = layout.block(key)
            assert block.samples.names == expected.samples.names
            assert block.components == expected.components
            assert block.properties == expected.properties


@pytest.mark.parametrize("matrix", operations().values(), ids=operations())
@pytest.mark.parametrize("basis_set", SETS)
def test_equivariance(matrix, basis_set):
    mol, turned = (molecule("ethanol", basis_set, m) for m in (None, matrix))
    basis, types = atomic_basis(mol), atomic_types(mol)
    before, after = (
        to_targets({HOME: core_hamiltonian(m)}, types, basis) for m in (mol, turned)
    )
    operation = O3Transformations(torch.tensor(matrix).unsqueeze(0), 2)
    for one, other in zip(before, after):
        assert allclose(operation.transform_tensormap(one), other, atol=1e-8, rtol=0)
        assert not allclose(one, other, atol=1e-3, rtol=0)


@pytest.mark.parametrize("matrix", operations().values(), ids=operations())
def test_superposition_of_atoms(matrix):
    """Its Fock matrix is equivariant, and nearer to the converged one than none."""
    scf = pytest.importorskip("pyscf").scf
    mol, turned = (molecule("water", "def2-svp", m) for m in (None, matrix))
    basis, types = atomic_basis(mol), atomic_types(mol)
    fields = [scf.RHF(m) for m in (mol, turned)]
    order = np.ix_(*2 * [orbital_order(mol)])
    before, after = (
        to_targets({HOME: fock_of_atoms(field)[order]}, types, basis)
        for field in fields
    )
    operation = O3Transformations(torch.tensor(matrix).unsqueeze(0), 2)
    for one, other in zip(before, after):
        assert allclose(operation.transform_tensormap(one), other, atol=1e-8, rtol=0)
    converged = fields[0].run().get_fock()
    difference = converged - fock_of_atoms(fields[0])
    assert np.abs(difference).mean() < 0.1 * np.abs(converged).mean()


def test_orbitals_of_pyscf():
    """General contractions, core potentials, and an order of shells by exponents."""
    mol = molecule("water", "cc-pvdz")
    assert atomic_basis(mol)[8] == [
        {"o3_lambda": l, "o3_sigma": 1, "num": 3 - l} for l in (0, 1, 2)
    ]
    labels = [mol.ao_labels(fmt=None)[i][2:] for i in orbital_order(mol)]
    assert labels[:9] == [("1s", ""), ("2s", ""), ("3s", "")] + [
        (n, m) for n in ("2p", "3p") for m in "yzx"
    ]
    assert [m for n, m in labels[9:14]] == ["xy", "yz", "z^2", "xz", "x2-y2"]
    mol = pytest.importorskip("pyscf").gto.M(
        atom="I 0 0 0; H 0 0 1.6", basis="def2-svp", ecp={"I": "def2-svp"}, verbose=0
    )
    assert atomic_types(mol) == [53, 1]
    assert sorted(orbital_order(mol)) == list(range(mol.nao))


def test_far_pairs_are_left_out():
    matrices = random_matrices(TYPES, BASIS)
    rng = np.random.default_rng(0)
    positions, cell = rng.uniform(0, 4, (4, 3)), np.diag([3.0, 4.0, 5.0])
    onsite, offsite = to_targets(matrices, TYPES, BASIS)
    near = to_matrices(onsite, near_pairs(offsite, positions, cell, 4.0), TYPES)
    found = 0
    for shift, matrix in matrices.items():
        vectors = positions[None] + shift @ cell - positions[:, None]
        is_near = torch.tensor(np.linalg.norm(vectors, axis=2) <= 4.0)
        sizes = torch.tensor([8, 1, 14, 1])
        is_near = is_near.repeat_interleave(sizes, 0).repeat_interleave(sizes, 1)
        expected = torch.where(is_near, torch.tensor(matrix), 0.0)
        assert torch.equal(near.get(shift, torch.zeros(24, 24)), expected)
        found += int(is_near.sum())
    assert 0 < found < 5 * 24**2
    of_molecule = near_pairs(offsite, positions, 0 * cell, 1e3)
    assert len(of_molecule.block(0).values) == len(offsite.block(0).values)


def test_matrices_are_differentiable():
    targets = to_targets(random_matrices(TYPES, BASIS), TYPES, BASIS)
    for block in targets[0].blocks():
        block.values.requires_grad_()
    to_matrices(*targets, TYPES)[HOME].trace().backward()
    block = targets[0].block({"o3_lambda_1": 0, "o3_lambda_2": 0, "atom_type": 8})
    assert block.values.grad[0, 0, 0].tolist() == [1.0, 0.0, 0.0, 1.0]


def test_errors():
    matrices = random_matrices(TYPES, BASIS)
    with pytest.raises(ValueError, match="shape .24, 24..* with 25 orbitals"):
        to_targets(matrices, [*TYPES, 1], BASIS)
    with pytest.raises(ValueError, match="of .1, 0, 0. or of its opposite is miss"):
        to_targets({HOME: matrices[HOME], (1, 0, 0): matrices[1, 0, 0]}, TYPES, BASIS)
    with pytest.raises(ValueError, match="matrix of .0, 0, 0. or"):
        to_targets({}, TYPES, BASIS)
    with pytest.raises(ValueError, match="complex128: it must be real"):
        to_targets({HOME: matrices[HOME] * 1j}, TYPES, BASIS)
    with pytest.raises(ValueError, match=r"no orbitals of atoms of types \[8\]"):
        to_targets(matrices, TYPES, {1: BASIS[1], 6: BASIS[6]})
    with pytest.raises(ValueError, match="type 1: give every l once"):
        to_targets(matrices, TYPES, {**BASIS, 1: BASIS[1] * 2})
    with pytest.raises(ValueError, match="'cart=False'"):
        orbital_order(molecule("water", "def2-svp", cart=True))
    with pytest.raises(ValueError, match="give one structure, not 2"):
        onsite, offsite = to_targets(matrices, TYPES, BASIS)
        other = append_dimension(
            remove_dimension(onsite, "samples", "system"), "samples", "system", 1
        )
        other = permute_dimensions(other, "samples", [1, 0])
        to_matrices(join([onsite, other], "samples"), offsite, TYPES)
    basis = {"H1": "sto-3g", "H2": "6-31g"}
    mol = pytest.importorskip("pyscf").gto.M(atom="H1 0 0 0; H2 0 0 1", basis=basis)
    with pytest.raises(ValueError, match="atoms of type 1 have different orbitals"):
        atomic_basis(mol)


def test_training_on_water(tmp_path, monkeypatch):
    """Blocks of a Fock matrix from the file to a symmetric matrix, closer than none."""
    monkeypatch.chdir(tmp_path)
    basis = {
        1: [{"o3_lambda": 0, "o3_sigma": 1, "num": 1}],
        8: [{"o3_lambda": l, "o3_sigma": 1, "num": 2 - l} for l in (0, 1)],
    }
    irreps = {"spherical": {"irreps": basis, "product": "cartesian"}}
    options = write_options(WATER, validation_set=0.1, test_set=0.1)
    options.training_set.targets = {
        name: {
            "read_from": str(WATER),
            "key": name,
            "type": irreps,
            "sample_kind": kind,
            "unit": "eV",
        }
        for name, kind in TARGETS.items()
    }
    options.architecture.training = {"num_epochs": 20, "learning_rate": 0.01}
    options.architecture.training.num_workers = 0
    train_in(tmp_path, options)

    model = load_model(tmp_path / "model.ckpt").double().eval()
    sample = DiskDataset(WATER)[0]
    system = sample.system
    types = system.types.tolist()
    atoms = ase.Atoms(types, system.positions.numpy())
    wanted = {n: ModelOutput(sample_kind=kind) for n, kind in TARGETS.items()}
    values = model(prepare(model, [atoms]), wanted)
    matrices = [
        to_matrices(*(v[name] for name in TARGETS), types)[HOME]
        for v in (sample._asdict(), values)
    ]
    reference, predicted = matrices
    torch.testing.assert_close(reference, reference.T, rtol=0, atol=1e-8)
    torch.testing.assert_close(predicted, predicted.T, rtol=0, atol=1e-10)
    assert predicted.shape == (7, 7)
    assert (predicted - reference).abs().mean() < 0.1 * reference.abs().mean()
