"""Trainings with the charge and the spin of structures as inputs."""

import copy
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.calculators.fd import calculate_numerical_forces
from metatomic_ase import MetatomicCalculator
from metatrain.cli.train import train_model
from metatrain.utils.io import load_model

from files import DATA
from helpers import assert_same, predict
from options import train_in, write_options


pytestmark = pytest.mark.usefixtures("in_temporary_folder")

NAMES = ["charge", "spin_multiplicity"]


@pytest.fixture(scope="module")
def frames():
    """Water, neutral and as a cation, both at the same geometries."""
    frames = ase.io.read(DATA / "ions.xyz", ":")
    return [frame for frame in frames if str(frame.symbols) == "OH2"][:24]


def options_of(frames, names=NAMES, **training):
    ase.io.write("ions.xyz", frames)
    options = write_options(
        systems=Path("ions.xyz").resolve(),
        architecture__model__system_inputs=names,
        architecture__training=training,
        test_set=0.0,
    )
    options.training_set.targets = {
        "energy": {"key": "energy", "unit": "eV", "forces": {"key": "forces"}}
    }
    options.training_set.extra_data = {name: {"key": name} for name in NAMES}
    return options


@pytest.fixture(scope="module")
def trained(frames, tmp_path_factory):
    """Options, folder and checkpoint of a training of two epochs."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        options = options_of(frames[:12], checkpoint_interval=1)
        return options, folder, train_in(folder, options)


def test_the_exported_model_is_the_trained_one(trained, frames):
    """In ASE, with forces that are the derivative at constant charge and spin."""
    _, folder, _ = trained
    model = load_model(folder / "model.ckpt").double().eval()
    expected = predict(model, frames[:2], ["energy"], "system")["energy"].block()
    calculator = MetatomicCalculator(folder / "model.pt")
    neutral, cation = frames[0].copy(), frames[1].copy()
    assert neutral.info["charge"] == 0 and cation.info["charge"] == 1
    np.testing.assert_allclose(neutral.positions, cation.positions)
    energies = [calculator.get_potential_energy(atoms) for atoms in (neutral, cation)]
    np.testing.assert_allclose(energies, expected.values.flatten().tolist())
    cation.calc = calculator
    forces = calculate_numerical_forces(cation, eps=1e-4)
    np.testing.assert_allclose(cation.get_forces(), forces, atol=1e-5)


def test_a_restart_is_exact(trained, tmp_path):
    options, folder, whole = trained
    restarted = train_in(
        tmp_path / "restarted", options, restart_from=folder / "model_0.ckpt"
    )
    assert_same(whole["model_state_dict"], restarted["model_state_dict"])


def test_states_of_one_geometry_are_told_apart(frames, tmp_path):
    """Which a model without the inputs can't, whatever it learns."""
    errors = {}
    for names in (NAMES, []):
        options = options_of(frames, names, num_epochs=0, solve_heads=True)
        options.training_set.targets.energy.forces = False
        train_in(tmp_path / str(len(names)), options)
        model = load_model(tmp_path / str(len(names)) / "model.ckpt").double().eval()
        energies = predict(model, frames, ["energy"], "system")["energy"].block().values
        expected = np.array([frame.get_potential_energy() for frame in frames])
        errors[len(names)] = np.abs(energies.flatten().tolist() - expected).mean()
    gap = frames[1].get_potential_energy() - frames[0].get_potential_energy()
    assert errors[0] > 0.4 * gap > 100 * errors[2]


def test_data_without_the_charge_are_refused(frames):
    options = options_of(frames)
    del options.training_set.extra_data["charge"]
    message = "structure .* has no 'charge', which 'system_inputs'.*add charge: {key"
    with pytest.raises(Exception, match=message):
        train_model(options)


def test_an_impossible_multiplicity_is_refused(frames):
    wrong = copy.deepcopy(frames)
    wrong[5].info["spin_multiplicity"] = 0
    message = (
        "structure 5 of '.*ions.xyz' .* has the 'spin_multiplicity' .0.*at least 1"
    )
    with pytest.raises(Exception, match=message):
        train_model(options_of(wrong))


def test_a_constant_charge_is_noticed(frames, caplog):
    train_model(options_of(frames[::2], num_epochs=0))
    assert "all structures of the training set have the 'charge' 0" in caplog.text
