"""The quickstart: its data, and the spectra that it draws."""

import json

import ase.build
import ase.io
import ase.units
import numpy as np
import pytest

from files import DATA, PROJECT, load_script


EXAMPLE = PROJECT / "examples" / "quickstart"


@pytest.fixture
def vibrations():
    return load_script(EXAMPLE / "vibrations.py")


@pytest.fixture
def make_data(monkeypatch):
    pytest.importorskip("pyscf")
    monkeypatch.syspath_prepend(EXAMPLE)
    monkeypatch.syspath_prepend(PROJECT / "examples" / "water-spectra")
    return load_script(EXAMPLE / "make_data.py")


def test_intensities_of_springs(vibrations):
    """A molecule whose response is known: springs, charges, bond polarizabilities."""
    atoms = ase.build.molecule("NH3")
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(12, 12))
    # no force on translations and rotations
    centered = atoms.positions - atoms.get_center_of_mass()
    rigid = [np.tile(axis, (4, 1)).ravel() for axis in np.eye(3)]
    rigid += [np.cross(axis, centered).ravel() for axis in np.eye(3)]
    basis, _ = np.linalg.qr(np.array(rigid).T)
    projector = np.eye(12) - basis @ basis.T
    hessian = projector @ matrix @ matrix.T @ projector  # eV/Å²
    charges = rng.normal(size=(12, 3))
    bonds = rng.normal(size=(12, 3, 3))
    bonds = bonds + bonds.swapaxes(1, 2)

    def response(moved):
        u = (moved.positions - atoms.positions).ravel()
        alpha = 1.0 + np.einsum("x,xij->ij", u, bonds)
        return -(hessian @ u).reshape(-1, 3), 0.5 + u @ charges, alpha

    forces, *tensors = vibrations.derivatives(atoms, response)
    lines = vibrations.intensities(vibrations.normal_modes(atoms, forces), *tensors)

    masses = np.repeat(atoms.get_masses(), 3)
    squares, modes = np.linalg.eigh(hessian / np.sqrt(np.outer(masses, masses)))
    modes = (modes / np.sqrt(masses)[:, None]).T[6:]
    # ω in ASE's unit of time, as an inverse length
    omega = np.sqrt(squares[6:]) * ase.units.second / (2 * np.pi * ase.units._c)
    np.testing.assert_allclose(lines["wavenumber"], omega / 100, rtol=1e-6)
    dipole = ((modes @ charges) ** 2).sum(1) / ase.units.Debye**2
    # 1 (D/Å)²/amu is 42.256 km/mol, as every textbook has it
    np.testing.assert_allclose(lines["infrared"], 42.256 * dipole, rtol=1e-4)
    alpha = np.einsum("qx,xij->qij", modes, bonds)
    xx, yy, zz = alpha[:, [0, 1, 2], [0, 1, 2]].T
    xy, yz, xz = alpha[:, [0, 1, 0], [1, 2, 2]].T
    mean = (xx + yy + zz) / 3
    anisotropy = ((xx - yy) ** 2 + (yy - zz) ** 2 + (zz - xx) ** 2) / 2
    anisotropy = anisotropy + 3 * (xy**2 + yz**2 + xz**2)
    activity = 45 * mean**2 + 7 * anisotropy
    np.testing.assert_allclose(lines["raman"], activity, rtol=1e-6)


def test_make_data(make_data, tmp_path, monkeypatch, capsys):
    """With a cheap method: frequencies are those of the analytic Hessian."""
    import reference

    monkeypatch.setattr(reference, "FUNCTIONAL", "HF")
    monkeypatch.setattr(reference, "BASIS", "sto-3g")
    monkeypatch.setattr(make_data, "MOLECULES", ["H2O"])
    arguments = ["make_data.py", "--number", "3", "-o", str(tmp_path)]
    monkeypatch.setattr("sys.argv", arguments)
    make_data.main()
    lines = json.loads((tmp_path / "molecules_vibrations.json").read_text())["H2O"]
    water = reference.relaxed(ase.build.molecule("H2O"))
    wavenumbers, _ = reference.normal_modes(water)
    np.testing.assert_allclose(lines["wavenumber"], wavenumbers, atol=0.5)
    frames = ase.io.read(tmp_path / "molecules.xyz", ":")
    assert len(frames) == 3
    for frame in frames:
        assert 0 < np.abs(frame.positions - water.positions).max() < 0.3


def test_data_are_those_of_the_script(make_data):
    """The first geometry, recomputed."""
    frames = ase.io.read(DATA / "molecules.xyz", ":")
    first = make_data.labelled(frames[0].copy())
    stored = frames[0]
    energy = stored.get_potential_energy()
    assert first.info["energy"] == pytest.approx(energy, abs=1e-6)
    np.testing.assert_allclose(first.arrays["forces"], stored.get_forces(), atol=1e-4)
    for name in ("mu", "alpha"):
        np.testing.assert_allclose(first.info[name], stored.info[name], atol=1e-4)
