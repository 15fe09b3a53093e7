"""What the types of the atoms alone say about targets, Cartesian tensors among them."""

import ase.io
import numpy as np
import pytest
import torch
from metatomic.torch import ModelOutput
from metatomic_ase import MetatomicCalculator
from metatrain.utils.io import load_model

from helpers import cartesian, dataset_info, make_model, molecules, predict
from metatrain_scalar_tensor.o3 import isotropic_tensors
from options import train_in, write_options


def isotropic(frame, rank):
    """Isotropic tensors of the atoms, whose weights are different for every type."""
    tensors = isotropic_tensors(rank).numpy()
    weights = np.sqrt(frame.numbers[:, None] + 3.0 * np.arange(len(tensors)))
    return np.tensordot(weights, tensors, axes=1)  # (atoms, 3, ...)


def noise(rng, rank, size):
    """Tensors without an isotropic part."""
    tensors = isotropic_tensors(rank).flatten(1).numpy()
    values = rng.normal(size=(size, 3**rank))
    return values - values @ np.linalg.pinv(tensors) @ tensors


def declare(key, rank, **kwargs):
    return {"key": key, "type": {"cartesian": {"rank": rank}}, "unit": "", **kwargs}


SHIELDING = declare("shielding", 2, sample_kind="atom")
TARGETS = {
    "mtt::alpha": declare("alpha", 2),
    "mtt::gamma": declare("gamma", 4),
    "mtt::s": SHIELDING,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Of a model in float32."""
    folder = tmp_path_factory.mktemp("isotropic") / "model"
    rng = np.random.default_rng(0)
    frames = molecules(30)
    for frame in frames:
        for key, rank in (("alpha", 2), ("gamma", 4)):
            frame.info[key] = isotropic(frame, rank).sum(0).flatten()
            frame.info[key] += noise(rng, rank, 1)[0]
        frame.arrays["shielding"] = isotropic(frame, 2).reshape(-1, 9)
        frame.arrays["shielding"] += noise(rng, 2, len(frame))
    frames[3].info["alpha"][:] = np.nan
    frames[4].arrays["shielding"][2] = np.nan
    frames[5].arrays["shielding"][:] = np.nan
    ase.io.write(folder.parent / "data.xyz", frames)
    train(folder, TARGETS)
    return folder


def train(folder, targets, **training):
    """Set up a model and fit what is taken off the targets, without any epoch."""
    options = write_options(
        systems=folder.parent / "data.xyz",
        architecture__training={"num_epochs": 0, **training},
        architecture__model={
            "expansion": {"basis": {"max_angular": 4, "radial": {"max_radial": 0}}},
        },
        validation_set=0.1,
        test_set=0.0,
    )
    options.base_precision = 32
    options.training_set.targets = targets
    train_in(folder, options)


def without_network(checkpoint):
    """What a trained model predicts on account of the types alone."""
    model = load_model(checkpoint).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    return model


@pytest.mark.parametrize(
    "name, rank", [("mtt::alpha", 2), ("mtt::gamma", 4), ("mtt::s", 2)]
)
def test_weights_are_those_of_the_data(folder, name, rank):
    """Whatever is not isotropic, or missing, makes no difference."""
    model = without_network(folder / "model.ckpt")
    for frame in molecules(3):
        expected = torch.tensor(isotropic(frame, rank))
        atoms = predict(model, [frame], [name], "atom")[name].block().values
        torch.testing.assert_close(atoms[..., 0], expected, atol=1e-6, rtol=0)
        total = predict(model, [frame], [name], "system")[name].block().values
        torch.testing.assert_close(total[0, ..., 0], expected.sum(0), atol=1e-5, rtol=0)


def test_network_learns_what_is_left(folder):
    """The scale of the targets is that of the noise, which has 8 of 9 components."""
    scaler = load_model(folder / "model.ckpt").baseline.scaler
    scales = scaler.model.scales["mtt::s"].block().values  # (types, 1)
    assert scales.tolist() == pytest.approx(np.full((4, 1), (8 / 9) ** 0.5), rel=0.1)


def test_exported_model_is_the_trained_one(folder):
    model = load_model(folder / "model.ckpt").eval()
    calculator = MetatomicCalculator(folder / "model.pt")
    for name, sample_kind in (("mtt::alpha", "system"), ("mtt::s", "atom")):
        output = {name: ModelOutput(sample_kind=sample_kind)}
        for frame in molecules(2):
            expected = predict(model, [frame], [name], sample_kind)[name].block()
            exported = calculator.run_model(frame, output)[name].block()
            assert exported.values.dtype == expected.values.dtype == torch.float32
            torch.testing.assert_close(exported.values, expected.values)


def test_new_targets_leave_fitted_weights_alone(folder):
    """Fine-tuning with one target whose weights are fitted, and one that has them."""
    finetuned = folder.parent / "finetuned"
    train(
        finetuned,
        {**TARGETS, "mtt::new": SHIELDING, "mtt::fixed": SHIELDING},
        atomic_baseline={"mtt::s": 3.0, "mtt::fixed": {1: 1.0, 6: 2.0, 7: 3.0, 8: 4.0}},
        finetune={"read_from": str(folder / "model.ckpt")},
    )
    model = without_network(finetuned / "model.ckpt")
    frame = molecules(1)[0]
    names = ["mtt::s", "mtt::new", "mtt::fixed"]
    old, new, fixed = (
        predict(model, [frame], [name])[name].block().values[:, 0, 0, 0]
        for name in names
    )
    expected = torch.tensor(isotropic(frame, 2))[:, 0, 0]
    torch.testing.assert_close(old, expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(new, expected, atol=1e-6, rtol=0)
    assert fixed.tolist() == [{1: 1, 6: 2, 7: 3, 8: 4}[z] for z in frame.numbers]


def test_only_some_targets_have_an_isotropic_part():
    targets = {"mu": cartesian(1), "non_conservative_stress/pbe": cartesian(2)}
    model = make_model(targets)
    assert model.baseline.isotropic_composition() is None
    model.restart(dataset_info({**targets, "alpha": cartesian(2)}))
    assert list(model.baseline.isotropic_composition().outputs) == ["alpha"]


def test_missing_scalars_do_not_spoil_the_fit(tmp_path):
    """Of structures and of atoms; metatrain's fit would make all weights NaN."""
    frames = molecules(30)
    for frame in frames:
        energies = np.sqrt(frame.numbers)
        frame.info["total"] = energies.sum()
        frame.arrays["each"] = energies
    frames[3].info["total"] = np.nan
    frames[4].arrays["each"][1] = np.nan
    ase.io.write(tmp_path / "data.xyz", frames)
    targets = {
        "mtt::total": {"key": "total", "type": "scalar"},
        "mtt::atomic": {"key": "each", "type": "scalar", "sample_kind": "atom"},
    }
    train(tmp_path / "model", targets)
    model = load_model(tmp_path / "model" / "model.ckpt")
    weights = model.baseline.additive_models[0].model.weights
    expected = np.sqrt(model.atomic_types)
    for name in targets:
        fitted = weights[name].block().values.flatten().numpy()
        np.testing.assert_allclose(fitted, expected, rtol=1e-7)  # as written
