"""Folders in the layout of DeepH."""

import json

import ase.build
import numpy as np
import pytest
import torch


h5py = pytest.importorskip("h5py")
from metatrain_scalar_tensor.hamiltonian import bloch  # noqa: E402
from metatrain_scalar_tensor.hamiltonian.deeph import (  # noqa: E402
    Structure,
    read_deeph,
    write_deeph,
)


BASIS = {
    1: [{"o3_lambda": 0, "o3_sigma": 1, "num": 2}],
    6: [{"o3_lambda": l, "o3_sigma": 1, "num": 3 - l} for l in (0, 1, 2)],
}
TYPES = [6, 1]


@pytest.fixture
def structure():
    """Two atoms in a cell, with matrices of three shifts."""
    rng = np.random.default_rng(0)
    matrices = []
    for _ in range(2):
        of_shifts = {}
        for shift in [(0, 0, 0), (1, 0, -2)]:
            matrix = torch.tensor(rng.normal(size=(16, 16)))
            of_shifts[shift] = matrix + matrix.T if shift == (0, 0, 0) else matrix
            of_shifts[tuple(-t for t in shift)] = of_shifts[shift].T.clone()
        of_shifts[1, 0, -2][:14, 14:] = 0.0  # from C to H
        of_shifts[-1, 0, 2][14:, :14] = 0.0
        matrices.append(of_shifts)
    return Structure(
        TYPES, rng.normal(size=(2, 3)), rng.normal(size=(3, 3)), BASIS, *matrices
    )


def test_there_and_back(structure, tmp_path):
    write_deeph(tmp_path / "new" / "folder", structure)
    found = read_deeph(tmp_path / "new" / "folder")
    assert found.types == structure.types
    np.testing.assert_allclose(found.positions, structure.positions, rtol=1e-14)
    np.testing.assert_allclose(found.cell, structure.cell, rtol=1e-14)
    assert found.basis == structure.basis
    for name in ("hamiltonian", "overlap"):
        ours, theirs = getattr(structure, name), getattr(found, name)
        assert ours.keys() == theirs.keys()
        for shift, matrix in ours.items():
            assert torch.equal(matrix, theirs[shift])


def test_files_are_as_documented(structure, tmp_path):
    """Vectors in columns, atoms from 1, orbitals of OpenMX, and no block of zeros."""
    write_deeph(tmp_path, structure)
    np.testing.assert_allclose(np.loadtxt(tmp_path / "lat.dat").T, structure.cell)
    assert np.loadtxt(tmp_path / "site_positions.dat").shape == (3, 2)
    reciprocal = np.loadtxt(tmp_path / "rlat.dat").T
    product = reciprocal @ structure.cell.T
    np.testing.assert_allclose(product, 2 * np.pi * np.eye(3), atol=1e-12)
    assert (tmp_path / "element.dat").read_text().split() == ["6", "1"]
    lines = (tmp_path / "orbital_types.dat").read_text().splitlines()
    assert lines == ["0 0 0 1 1 2", "0 0"]
    info = json.loads((tmp_path / "info.json").read_text())
    assert info["nsites"] == 2 and info["norbits"] == 16 and not info["isspinful"]
    home = structure.hamiltonian[0, 0, 0].numpy()
    with h5py.File(tmp_path / "hamiltonians.h5") as file:
        assert "[1, 0, -2, 1, 2]" not in file and "[1, 0, -2, 2, 1]" in file
        assert len(file) == 4 + 3 + 3
        block = file["[0, 0, 0, 1, 2]"][:]
    # p of the first shell: ours are y, z, x at 3, 4, 5, theirs x, y, z
    np.testing.assert_array_equal(block[3:6], home[[5, 3, 4], 14:])
    # d: ours xy, yz, z², xz, x² - y², theirs z², x² - y², xy, xz, yz
    np.testing.assert_array_equal(block[9:14], home[[11, 13, 9, 12, 10], 14:])


def test_bands_are_those_of_the_folder(structure, tmp_path):
    """A Bloch matrix of the blocks as they are has the same eigenvalues."""
    write_deeph(tmp_path, structure)
    k = np.array([0.1, 0.3, -0.2])
    matrix = np.zeros((16, 16), dtype=complex)
    start = [0, 14]
    with h5py.File(tmp_path / "hamiltonians.h5") as file:
        for name, block in file.items():
            *shift, i, j = json.loads(name)
            rows, columns = start[i - 1], start[j - 1]
            part = matrix[rows : rows + block.shape[0], columns:]
            part[:, : block.shape[1]] += np.exp(2j * np.pi * (k @ shift)) * block[:]
    energies = np.linalg.eigvalsh(matrix)
    ours = np.linalg.eigvalsh(bloch(structure.hamiltonian, k).numpy())
    np.testing.assert_allclose(energies, ours, atol=1e-12)


def test_molecule_without_overlap(tmp_path):
    water = ase.build.molecule("H2O")
    matrix = torch.arange(9.0, dtype=torch.float64).reshape(3, 3)
    matrix = matrix + matrix.T
    basis = {t: [{"o3_lambda": 0, "o3_sigma": 1, "num": 1}] for t in (1, 8)}
    write_deeph(
        tmp_path,
        Structure(
            *(water.numbers.tolist(), water.positions, np.zeros((3, 3)), basis),
            {(0, 0, 0): matrix},
        ),
    )
    assert not (tmp_path / "rlat.dat").exists()
    found = read_deeph(tmp_path)
    assert found.overlap is None and not np.any(found.cell)
    assert torch.equal(found.hamiltonian[0, 0, 0], matrix)


def test_an_old_overlap_does_not_stay(structure, tmp_path):
    write_deeph(tmp_path, structure)
    structure.overlap = None
    write_deeph(tmp_path, structure)
    assert read_deeph(tmp_path).overlap is None


def test_errors(structure, tmp_path):
    write_deeph(tmp_path, structure)
    with h5py.File(tmp_path / "hamiltonians.h5", "a") as file:
        file["[5, 0, 0, 1, 2]"] = np.zeros((14, 3))
    with pytest.raises(
        ValueError, match=r"block .5, 0, 0, 1, 2. of .* \(14, 3\), its .* \(14, 2\)"
    ):
        read_deeph(tmp_path)
    (tmp_path / "info.json").write_text(json.dumps({"isspinful": True}))
    with pytest.raises(ValueError, match="has matrices with spin"):
        read_deeph(tmp_path)
    (tmp_path / "info.json").unlink()
    with pytest.raises(FileNotFoundError, match="info.json"):
        read_deeph(tmp_path)


def test_missing_opposites_are_transposed(structure, tmp_path):
    """Codes may store one of each pair of opposite blocks only."""
    write_deeph(tmp_path, structure)
    with h5py.File(tmp_path / "hamiltonians.h5", "a") as file:
        del file["[0, 0, 0, 2, 1]"], file["[-1, 0, 2, 1, 2]"]
    for shift, matrix in read_deeph(tmp_path).hamiltonian.items():
        assert torch.equal(matrix, structure.hamiltonian[shift])


def test_blocks_that_are_refused(structure, tmp_path):
    for name, block, message in [
        ("[0, 0, 0, 1, 2]", 1j * np.ones((14, 2)), "is complex: it must be real"),
        ("[0, 0, 0, 1, 2]", np.ones((14, 2)), "not the transposed one"),
        ("[0, 0, 0, 1, 2]", np.full((14, 2), np.nan), "or is NaN"),
        ("[0, 0, 0, 0, 1]", np.ones((2, 14)), "counted from 1 to 2"),
    ]:
        write_deeph(tmp_path, structure)
        with h5py.File(tmp_path / "hamiltonians.h5", "a") as file:
            file.pop(name, None)
            file[name] = block
        with pytest.raises(ValueError, match=message):
            read_deeph(tmp_path)
