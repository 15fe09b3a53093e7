"""Ensembles drawn from the posterior of the last weights."""

import copy
from pathlib import Path

import ase.build
import ase.io
import metatensor.torch as mts
import numpy as np
import pytest
import torch
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from metatomic.torch import ModelOutput
from metatomic_ase import MetatomicCalculator
from metatrain.cli.eval import eval_model
from metatrain.utils.architectures import get_default_hypers
from metatrain.utils.data import DiskDataset, system_to_ase
from metatrain.utils.io import load_model
from omegaconf import OmegaConf

from files import DATA, PROJECT
from helpers import assert_same, predict
from metatrain_scalar_tensor.training.check_hypers import check_hypers
from metatrain_scalar_tensor.training.solve.ensemble import _cross_validated, calibrate
from metatrain_scalar_tensor.training.solve.equations import Gram, Products
from metatrain_scalar_tensor.training.solve.ridge import TallRidge, WideRidge
from options import train_in, write_options


def solver_of(x, y, scales=None):
    """The form for as many rows and columns, and the right sides as it takes them."""
    scales = torch.ones(x.shape[1]).double() if scales is None else scales
    if len(x) < x.shape[1]:
        return WideRidge(x, scales), y
    return TallRidge(Gram.of(x), scales), Products.of(x, y)


@pytest.mark.parametrize("shape", [(30, 8), (8, 30)])
def test_draws_have_the_covariance_of_the_posterior(shape):
    """Exactly: draws are a linear map of independent normal numbers."""
    torch.manual_seed(0)
    x, scales = torch.randn(shape).double(), 1.0 + torch.rand(shape[1]).double()
    ridge, _ = solver_of(x, torch.empty(shape[0], 0).double(), scales)
    draw = ridge.draw(1e-2, torch.eye(ridge.num_normal).double())
    alpha = 1e-2 * torch.linalg.eigvalsh((x * scales).T @ (x * scales)).max()
    expected = torch.linalg.inv(x.T @ x + alpha * torch.diag(scales**-2))
    torch.testing.assert_close(draw @ draw.T, expected, atol=1e-10, rtol=1e-10)


def linear_data(num_columns, noise, generator):
    """A linear function of normal numbers, with noise: training and other rows."""
    w = torch.randn(num_columns, generator=generator, dtype=torch.float64)
    data = []
    for num_rows in (60, 200, 2000):
        x = torch.randn(num_rows, num_columns, generator=generator, dtype=torch.float64)
        error = torch.randn(num_rows, generator=generator, dtype=torch.float64)
        data.append((x, (x @ w + noise * error).unsqueeze(1)))
    return w, data


@pytest.mark.parametrize("num_columns", [20, 200])
def test_calibrated_variances_are_those_of_new_data(num_columns):
    """Without noise; with fewer and with more columns than rows."""
    generator = torch.Generator().manual_seed(0)
    w, (training, validation, test) = linear_data(num_columns, 0.3, generator)
    ridge, y = solver_of(*training)
    solution = ridge.solve(y, validation)
    normal = torch.randn(ridge.num_normal, 500, generator=generator).double()
    delta = ridge.draw(float(solution.strengths[0]), normal)
    errors = [x @ solution.weights[:, 0] - y[:, 0] for x, y in (validation, test)]
    factor = calibrate(errors[0], validation[0] @ delta, 1)
    variances = factor**2 * (test[0] @ delta).square().mean(1)
    assert float((errors[1] ** 2 / variances).mean()) == pytest.approx(1.0, abs=0.15)
    # further away from the data, it is larger
    assert ((10 * test[0] @ delta).square().mean(1) * factor**2 > 50 * variances).all()
    if num_columns > len(training[0]):  # directions that the data do not have
        seen = training[0] @ delta
        assert seen.square().mean() < 0.5 * (test[0] @ delta).square().mean()


def test_cross_validation_finds_the_same_factor():
    generator = torch.Generator().manual_seed(0)
    _, (training, validation, test) = linear_data(30, 0.3, generator)
    ridge, y = solver_of(*training)
    solution = ridge.solve(y)
    normal = torch.randn(ridge.num_normal, 500, generator=generator).double()
    errors = test[0] @ solution.weights[:, 0] - test[1][:, 0]
    expected = calibrate(
        errors, test[0] @ ridge.draw(float(solution.strengths[0]), normal), 1
    )
    found = _cross_validated(ridge, solution, y, 0)
    assert found == pytest.approx(expected, rel=0.2)


def test_missing_values_and_what_vanishes_by_symmetry_do_not_count():
    errors = torch.tensor([1.0, 2.0, torch.nan, 2.0, 1e-9, 0.0])
    differences = torch.tensor([1.0, 1.0, 1.0, 1.0, 1e-9, 1e-9])
    differences = torch.stack([differences, -differences], dim=1)  # variances of 2
    factor = calibrate(errors, differences, 2)
    assert factor == pytest.approx((9.0 / 3.0 / 2.0) ** 0.5)
    assert calibrate(errors * torch.nan, differences, 2) is None


NUMBER = 8
ENERGY = ["energy", "energy_ensemble", "energy_uncertainty"]
MU = ["mtt::mu", "mtt::aux::mu_ensemble", "mtt::aux::mu_uncertainty"]


def options_of_run(folder, **training):
    """Energies with forces, and dipoles."""
    options = write_options(
        systems=folder / "training.xyz",
        architecture__training={
            "num_ensemble_members": NUMBER,
            "solve_heads": True,
            **training,
        },
        test_set=0.0,
    )
    del options.training_set.targets["mtt::alpha"]
    options.training_set.targets["energy"] = {"key": "energy", "unit": "eV"}
    options.validation_set = copy.deepcopy(options.training_set)
    options.validation_set.systems.read_from = str(folder / "validation.xyz")
    return options


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a training, and its checkpoint."""
    folder = tmp_path_factory.mktemp("ensemble")
    frames = [ase.build.molecule("H2O") for _ in range(12)]
    for i, frame in enumerate(frames):
        frame.rattle(0.1, seed=i)
        frame.calc = EMT()
        values = {"energy": frame.get_potential_energy(), "forces": frame.get_forces()}
        frame.calc = SinglePointCalculator(frame, **values)
        frame.info["mu"] = frame.get_center_of_mass()
    ase.io.write(folder / "training.xyz", frames[4:])
    ase.io.write(folder / "validation.xyz", frames[:4])
    options = options_of_run(folder, checkpoint_interval=1)
    return folder, train_in(folder / "run", options)


@pytest.fixture(scope="module")
def frames(trained):
    return ase.io.read(trained[0] / "validation.xyz", ":")


def test_the_exported_weights_have_the_ensemble(trained, frames):
    """Not those with which a restart goes on."""
    folder, checkpoint = trained
    of_state = {
        kind: [x for name, x in checkpoint[kind].items() if "differences" in name]
        for kind in ("best_model_state_dict", "model_state_dict")
    }
    assert all(len(x) == NUMBER for x in of_state["best_model_state_dict"])
    assert all(len(x) == 0 for x in of_state["model_state_dict"])
    for x in of_state["best_model_state_dict"]:
        assert x.sum(0).abs().max() < 1e-12 * x.abs().max()
    model = load_model(folder / "run" / "model.ckpt").eval()
    for name, of_members, spread in (ENERGY, MU):
        outputs = predict(model, frames, [name, of_members, spread], "system")
        values, members, deviation = (
            outputs[n].block().values for n in (name, of_members, spread)
        )
        members = members.reshape(*values.shape[:-1], NUMBER)
        mean = members.mean(-1, keepdim=True)
        torch.testing.assert_close(mean, values, atol=1e-9, rtol=1e-9)
        variance = members.var(-1).reshape(len(frames), -1).mean(1)
        torch.testing.assert_close(deviation[:, 0], variance.sqrt())
        assert (deviation > 1e-8).all()


def test_errors_are_as_large_as_uncertainties_in_the_validation_set(trained, frames):
    """Exactly, in the exported model, for targets with a single irrep."""
    model = load_model(trained[0] / "run" / "model.ckpt").eval()
    energies = [[frame.get_potential_energy()] for frame in frames]
    dipoles = [frame.info["mu"] for frame in frames]
    for (name, _, spread), expected in ((ENERGY, energies), (MU, dipoles)):
        outputs = predict(model, frames, [name, spread], "system")
        values, deviation = (outputs[n].block().values for n in (name, spread))
        errors = values[..., 0].reshape(len(frames), -1) - torch.tensor(
            np.array(expected)
        )
        assert float((errors / deviation).square().mean().detach()) == pytest.approx(1)


@pytest.mark.parametrize("part", ["validation", "test"])
def test_symmetric_matrices_are_calibrated_as_a_whole(part, tmp_path):
    """The average of a block and its transposed one has a smaller variance than each.

    Without validation data, its members spread as those of the two did.
    """
    file = DATA / "hamiltonian" / "water_sto3g.zip"
    options = OmegaConf.load(PROJECT / "options" / "hamiltonian.yaml")
    options.training_set.systems.read_from = str(file)
    options.architecture.training.update(num_epochs=0, num_ensemble_members=32)
    small = options.architecture.model
    small.network = {"num_neurons_per_layer": 8}
    small.atom_pairs.num_functions = 16
    small.expansion.basis = {"max_angular": 2, "radial": {"max_radial": 1}}
    options.update(base_precision=64, final_eval=False, validation_set=0.0)
    options[f"{part}_set"] = 0.4
    train_in(tmp_path, options)
    model = load_model(tmp_path / "model.ckpt").eval()
    data = DiskDataset(file)
    numbers = np.loadtxt(tmp_path / "indices" / f"{part}.txt", dtype=int)
    ratios = {}
    for name, kind in (("fock_onsite", "atom"), ("fock_offsite", "atom_pair")):
        names = [f"mtt::{name}", f"mtt::aux::{name}_uncertainty"]
        for sample in (data[int(number)] for number in numbers):
            found = predict(model, [system_to_ase(sample.system)], names, kind)
            for key, block in sample[names[0]].items():
                values, spread = (found[n].block(key) for n in names)
                rows = values.samples.values[:, 1:].tolist()
                for center, reference in zip(block.samples.values[:, 1:], block.values):
                    i = rows.index(center.tolist())
                    square = (values.values[i] - reference).square()
                    square = square.flatten(0, -2).mean(0) / spread.values[i].square()
                    of_block = ratios.setdefault((name, *key.values.tolist()), [])
                    of_block.append(square.detach())
    means = torch.cat([torch.stack(x).mean(0) for x in ratios.values()])
    assert len(means) == 17 and means.isfinite().all()
    if part == "validation":
        torch.testing.assert_close(means, torch.ones_like(means), atol=1e-6, rtol=0)


def test_exported_models_and_evaluation(trained, frames, in_temporary_folder):
    folder, _ = trained
    model = load_model(folder / "run" / "model.ckpt").eval()
    names = [*ENERGY, *MU]
    expected = predict(model, frames, names, "system")
    calculator = MetatomicCalculator(folder / "run" / "model.pt")
    request = {name: ModelOutput(sample_kind="system") for name in names}
    for i, frame in enumerate(frames[:2]):
        found = calculator.run_model(frame, request)
        for name in names:
            values = expected[name].block().values[i : i + 1]
            torch.testing.assert_close(found[name].block().values, values)
    frames[0].calc = calculator
    with pytest.warns(UserWarning, match="larger than the threshold of 0.1 eV"):
        frames[0].get_forces()
    options = {"systems": {"read_from": str(trained[0] / "validation.xyz")}}
    eval_model(calculator._model, OmegaConf.create(options), Path("evaluated.mts"))
    written = sorted(path.name for path in Path().glob("*.mts"))
    assert "evaluated_energy_uncertainty.mts" in written
    assert "evaluated_mtt::aux::mu_uncertainty.mts" in written


def test_a_restart_draws_the_same_ensemble(trained):
    folder, checkpoint = trained
    restarted = train_in(
        folder / "restarted",
        options_of_run(folder, checkpoint_interval=1),
        restart_from=folder / "run" / "model_0.ckpt",
    )
    state = "best_model_state_dict"
    assert_same(checkpoint[state], restarted[state])


def test_fine_tuning_of_heads_keeps_the_other_ensembles(trained, frames):
    """And gives the new target its own."""
    folder, checkpoint = trained
    options = options_of_run(folder, num_epochs=0)
    read_from = str(folder / "run" / "model.ckpt")
    options.architecture.training.finetune = {"read_from": read_from, "method": "heads"}
    for part in (options.training_set, options.validation_set):
        part.targets = {"mtt::copy": part.targets["mtt::mu"]}
    train_in(folder / "heads", options)
    model = load_model(folder / "heads" / "model.ckpt")
    assert set(model.ensemble_names) == {"energy", "mtt::mu", "mtt::copy"}
    after = model.state_dict()
    for name, x in checkpoint["best_model_state_dict"].items():
        if "differences" in name:
            assert torch.equal(x, after[name])
    model.keep_targets(["energy"])
    assert {name for name in model.outputs if "ensemble" in name} == {"energy_ensemble"}


def test_ensembles_can_be_added_to_a_trained_model(trained, frames):
    """Without any change of its predictions, and only for targets in the data."""
    folder, _ = trained
    options = options_of_run(folder, num_epochs=0, solve_heads=False)
    read_from = str(folder / "run" / "model.ckpt")
    options.architecture.training.finetune = {"read_from": read_from}
    for part in (options.training_set, options.validation_set):
        del part.targets["energy"]
    train_in(folder / "added", options)
    models = [load_model(folder / n / "model.ckpt").eval() for n in ("run", "added")]
    old, new = (predict(m, frames, ["mtt::mu"], "system")["mtt::mu"] for m in models)
    assert mts.equal(old, new)
    assert set(models[1].ensemble_names) == {"mtt::mu"}


def test_one_member_is_refused():
    hypers = get_default_hypers("experimental.scalar_tensor")["training"]
    with pytest.raises(ValueError, match="one member has no standard deviation"):
        check_hypers({**hypers, "num_ensemble_members": 1}, [], [])
