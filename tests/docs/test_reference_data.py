"""The sets in ``data/`` are those that the script makes."""

import ase.io
import numpy as np
import pytest
from metatrain.utils.data import DiskDataset
from scipy.spatial.transform import Rotation

from files import DATA, PROJECT, load_script


@pytest.fixture(scope="module")
def script():
    pytest.importorskip("pyscf")
    return load_script(PROJECT / "scripts" / "reference_data.py")


def test_shieldings(script):
    pytest.importorskip("pyscf.prop.nmr", reason="pip install pyscf-properties")
    frame = ase.io.read(DATA / "shieldings.xyz", 0)
    expected = frame.arrays["shielding"].reshape(-1, 3, 3)
    tensors = script.shielding(frame)
    np.testing.assert_allclose(tensors, expected, atol=1e-3)  # ppm
    # improper: a shielding is a proper tensor of even rank, and not symmetric
    matrix = -Rotation.random(rng=np.random.default_rng(1)).as_matrix()
    frame.positions = frame.positions @ matrix.T
    turned = np.einsum("ia,jb,nab->nij", matrix, matrix, tensors)
    np.testing.assert_allclose(script.shielding(frame), turned, atol=1e-6)
    assert np.abs(tensors - tensors.transpose(0, 2, 1)).max() > 1.0


def test_hyperpolarizability(script):
    frame = ase.io.read(DATA / "hyperpolarizability.xyz", 1)
    beta = script.hyperpolarizability(frame)
    np.testing.assert_allclose(beta.flatten(), frame.info["beta"], atol=1e-3)
    np.testing.assert_allclose(beta, beta.transpose(1, 0, 2), atol=1e-8)


def test_ions(script):
    neutral, cation = ase.io.read(DATA / "ions.xyz", ":2")
    state = cation.info["charge"], cation.info["spin_multiplicity"]
    assert state == (1, 2) and neutral.info["charge"] == 0
    energy, forces = script.energy_and_forces(cation, 1, 2)
    assert energy == pytest.approx(cation.get_potential_energy(), abs=1e-5)
    np.testing.assert_allclose(forces, cation.get_forces(), atol=1e-5)
    assert energy - neutral.get_potential_energy() > 10.0


def test_density(script):
    data = DiskDataset(DATA / "density" / "water_jfit.zip")
    frames = script.geometries(["H2O"], 2)
    for i, frame in enumerate(frames):
        coefficients, basis = script.density_coefficients(frame)
        target = script.density_target(coefficients, frame.numbers.tolist(), basis)
        stored = data[i]._asdict()["mtt::density"]
        for key, block in stored.items():
            found = target.block(key).values
            np.testing.assert_allclose(found, block.values, atol=1e-5)
            assert block.properties == target.block(key).properties


def test_elastic_constants():
    script = load_script(PROJECT / "scripts" / "elastic_constants.py")
    crystal = ase.io.read(DATA / "elastic.xyz", 3)
    tensor = script.elastic_constants(crystal)
    stored = crystal.info["elastic"].reshape(3, 3, 3, 3)
    np.testing.assert_allclose(tensor, stored, atol=2e-6)  # eV/Å^3
    # without stress, it is the second derivative of the energy
    energies = []
    for size in (-1e-3, 0.0, 1e-3):
        strained = crystal.copy()
        strained.set_cell(crystal.cell @ np.diag([1 + size, 1, 1]), scale_atoms=True)
        strained.calc = script.EMT()
        energies.append(strained.get_potential_energy())
    curvature = np.diff(energies, 2)[0] / 1e-6 / crystal.get_volume()
    np.testing.assert_allclose(tensor[0, 0, 0, 0], curvature, rtol=1e-3)
