"""Scores of ``examples/hamiltonian``: of matrices whose errors are known."""

import sys

import ase.build
import numpy as np
import pytest
import torch
from ase.units import Hartree

from files import PROJECT
from metatrain_scalar_tensor.hamiltonian import HOME


pytest.importorskip("pyscf")
sys.path.insert(0, str(PROJECT / "examples" / "hamiltonian"))
import scores  # noqa: E402
from electronic import Method, orbitals_of_atoms  # noqa: E402
from graphene import TightBinding, graphene  # noqa: E402
from picture import draw  # noqa: E402


METHOD = Method("hf", "6-31g", "minao")
MICROHARTREE = 1e-6 * Hartree


@pytest.fixture(scope="module")
def water():
    """A molecule, its Fock matrix with the reference, and its overlap."""
    atoms = ase.build.molecule("H2O")
    atoms.rattle(0.05, seed=0)
    difference, overlap = METHOD.matrices(atoms)
    fock = difference[HOME] + METHOD.reference(atoms)[HOME]
    return atoms, {HOME: torch.tensor(fock)}, {HOME: torch.tensor(overlap[HOME])}


def of_states(water, predicted):
    """Scores of levels and occupied orbitals."""
    atoms, fock, overlap = water
    electrons = METHOD.electrons(atoms)
    states = [
        scores.eigenstates(m, overlap, METHOD.kpoints()) for m in (fock, predicted)
    ]
    occupied = [s[0][1][:, : electrons // 2] for s in states]
    return scores.of_states(*states, electrons) | scores.of_orbitals(
        *occupied, overlap[HOME].numpy()
    )


def test_elements(water):
    """3 µEh in two elements of the first atom, 5 in two between the others."""
    atoms, fock, _ = water
    predicted = fock[HOME].clone()
    oxygen, hydrogen = 9, 2  # orbitals
    assert orbitals_of_atoms(atoms, METHOD.irreps(atoms)) == [9, 2, 2]
    for i, j, error in [(0, 4, 3), (4, 0, 3), (9, 12, -5), (12, 9, -5)]:
        predicted[i, j] += error * MICROHARTREE
    irreps = METHOD.irreps(atoms)
    found = scores.of_elements(fock, {HOME: predicted}, atoms, irreps)
    of_atoms = oxygen**2 + 2 * hydrogen**2
    expected = [16 / 13**2, 6 / of_atoms, 10 / (13**2 - of_atoms)]
    np.testing.assert_allclose(list(found.values()), expected, rtol=1e-6)


def test_shifted_levels(water):
    """F + c S has the same orbitals, and levels that are higher by c."""
    _, fock, overlap = water
    shifted = {HOME: fock[HOME] + 7 * MICROHARTREE * overlap[HOME]}
    found = of_states(water, shifted)
    assert found["occupied levels, MAE (µEh)"] == pytest.approx(7.0, rel=1e-5)
    assert found["HOMO-LUMO gap, MAE (µEh)"] == pytest.approx(0.0, abs=1e-5)
    assert found["occupied orbitals, mean cosine"] == pytest.approx(1.0, abs=1e-9)


def test_no_gap_without_virtual_orbitals():
    states = [(np.array([-1.0]), np.eye(1))]
    assert np.isnan(
        scores.of_states([states[0]], states, 2)["HOMO-LUMO gap, MAE (µEh)"]
    )


def test_energy_is_relative_to_the_lower_state():
    """Where the prediction leads to another one than PySCF's guess."""
    ethylene, method = ase.build.molecule("C2H4"), Method("hf", "sto-3g")
    fock, overlap = method.matrices(ethylene)
    [(_, orbitals)] = scores.eigenstates(fock, overlap, method.kpoints())
    occupied = orbitals[:, [*range(7), 8]]  # with the lowest virtual orbital
    found = scores.of_self_consistency(occupied, ethylene, method)
    assert found["total energy of the density, MAE (µEh)"] > 5e5


def test_energy_is_of_second_order(water):
    """In the error of the matrix; without error it is converged in one iteration."""
    atoms, fock, overlap = water
    rng = np.random.default_rng(0)
    noise = torch.tensor(rng.normal(size=fock[HOME].shape))
    errors, iterations = [], []
    for size in (0.0, 0.02, 0.04):  # eV
        matrix = {HOME: fock[HOME] + size * (noise + noise.T)}
        states = scores.eigenstates(matrix, overlap, METHOD.kpoints())
        found = scores.of_self_consistency(states[0][1][:, :5], atoms, METHOD)
        errors.append(found["total energy of the density, MAE (µEh)"])
        iterations.append(found["SCF iterations from the prediction"])
        assert found["SCF iterations saved"] > 0
    assert errors[0] < 1e-3 and iterations[0] <= 2 < iterations[1]
    assert errors[2] / errors[1] == pytest.approx(4.0, rel=0.2)


def test_bands_of_a_crystal():
    """A scaled matrix has scaled bands."""
    sheet, source = graphene(), TightBinding()
    matrices, overlap = source.matrices(sheet)
    matrices = {shift: torch.tensor(m) for shift, m in matrices.items()}
    scaled = {shift: 1.001 * m for shift, m in matrices.items()}
    states, found = (
        scores.eigenstates(m, overlap, source.kpoints()) for m in (matrices, scaled)
    )
    levels = np.abs([energies[: 2 * len(sheet)] for energies, _ in states])
    error = scores.of_states(states, found, source.electrons(sheet))
    expected = 0.001 * levels.mean() / MICROHARTREE
    assert error["occupied levels, MAE (µEh)"] == pytest.approx(expected, rel=1e-6)


def test_data_minus_reference(water):
    """What is subtracted from the data is added to predictions."""
    atoms, fock, _ = water
    whole, _ = Method(METHOD.name, METHOD.basis).matrices(atoms)
    np.testing.assert_allclose(fock[HOME], whole[HOME], atol=1e-6)
    difference, _ = METHOD.matrices(atoms)
    assert np.abs(difference[HOME]).mean() < 0.1 * np.abs(whole[HOME]).mean()


def test_picture(water, tmp_path):
    atoms, fock, _ = water
    matrix = fock[HOME].numpy()
    draw(tmp_path / "a.png", atoms, [9, 2, 2], matrix, 1e-5 * matrix)
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
