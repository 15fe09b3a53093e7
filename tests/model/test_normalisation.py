"""Sizes taken from data: their floors, and which data they are taken from."""

import logging

import ase
import ase.build
import ase.io
import numpy as np
import pytest
import torch
from metatrain.cli.train import train_model
from metatrain.utils.data import Dataset
from metatrain.utils.io import load_model

from files import ETHANOL
from helpers import (
    cluster,
    make_model,
    molecules,
    predict,
    prepare,
    spherical,
    target,
)
from metatrain_scalar_tensor.interface.scales import SCALE_FLOOR
from metatrain_scalar_tensor.normalisation import (
    RELATIVE_FLOOR,
    root_mean_squares,
    with_floor,
)
from metatrain_scalar_tensor.training.sample import MAX_ATOMS, typical_structures
from options import write_options


pytestmark = pytest.mark.usefixtures("in_temporary_folder")


def test_sizes_have_a_floor_relative_to_the_largest():
    sizes = torch.tensor([2.0, 1.0, 1e-16, 0.0])
    expected = [2.0, 1.0, 2.0 * RELATIVE_FLOOR, 2.0 * RELATIVE_FLOOR]
    torch.testing.assert_close(with_floor(sizes), torch.tensor(expected))
    assert with_floor(torch.zeros(3)).tolist() == [1.0, 1.0, 1.0]


def test_sizes_do_not_depend_on_the_batches():
    rng = np.random.default_rng(0)
    numbers = [torch.tensor(rng.normal(size=(k, 3))) for k in (1, 4, 2, 7)]

    def quantities(batch):
        return [torch.cat([numbers[i] for i in batch])]

    for batches in ([[0, 1, 2, 3]], [[0], [1], [2], [3]], [[0, 1, 2], [3]]):
        expected = torch.cat(numbers).pow(2).mean().sqrt().reshape(1)
        torch.testing.assert_close(root_mean_squares(batches, quantities), expected)


def test_channels_that_symmetry_makes_zero_stay_small():
    """Odd l in a perfect crystal is rounding: it is not divided by its own size."""
    model = make_model({"y": spherical((1, 1))}, atomic_types=[29])
    model.model.density.is_calibrated.fill_(False)
    systems = prepare(model, [ase.build.bulk("Cu")])
    model.calibrate([systems])
    scale = model.model.density.scale
    assert scale.max() / scale.min() < 1.001 / RELATIVE_FLOOR
    density = model.model.look(model.read(systems)).density
    for l in (1, 2, 3, 5):
        assert density[l].abs().max() < 1e-13


def test_first_batch_does_not_decide():
    """Lone atoms in front of molecules have no density of l > 0."""
    frames = 8 * [ase.Atoms("O", [[0.0, 0.0, 0.0]])] + molecules(8)
    scales = []
    for order in (frames, frames[::-1]):
        model = make_model({"y": target()})
        model.model.density.is_calibrated.fill_(False)
        data = Dataset.from_dict({"system": prepare(model, order)})
        model.calibrate(typical_structures(model, [data], batch_size=8))
        scales.append(model.model.density.scale)
    torch.testing.assert_close(scales[0], scales[1], rtol=1e-12, atol=0)


def test_sample_of_a_large_training_set():
    model = make_model({"y": target()}, expansion__cutoff__radius=1.5)
    frame = cluster(500)
    data = Dataset.from_dict({"system": prepare(model, 50 * [frame])})
    batches = typical_structures(model, [data, data], batch_size=3)
    assert sum(len(system) for batch in batches for system in batch) == MAX_ATOMS


def train(targets, frames, **changes):
    ase.io.write("data.xyz", frames)
    options = write_options(systems="data.xyz", test_set=0.0, **changes)
    options.training_set.targets = targets
    train_model(options)
    return load_model("model.ckpt")


@pytest.mark.parametrize("precision", [32, 64])
@pytest.mark.parametrize("what", ["zero", "composition"])
def test_targets_that_the_composition_explains(what, precision, caplog):
    """Nothing is learned of rounding, and the scale is 1."""
    frames = molecules(20)
    for frame in frames:
        weights = 0.0 if what == "zero" else 1.7 + 0.1 * frame.numbers
        frame.info["y"] = np.sum(weights * np.ones(len(frame)))
    with caplog.at_level(logging.WARNING):
        model = train(
            {
                "mtt::y": {"key": "y"},
                "mtt::mu": write_options().training_set.targets["mtt::mu"],
            },
            frames,
            base_precision=precision,
            architecture__training={"num_epochs": 10, "solve_heads": True},
        )
    assert "explains the target 'mtt::y' to rounding" in caplog.text
    assert "explains the target 'mtt::mu'" not in caplog.text
    scales = model.baseline.scaler.model.scales["mtt::y"].block().values
    assert scales.tolist() == [[1.0]]
    for weights in model.model.heads()["mtt::y"].last_weights():
        assert not weights.any()


@pytest.mark.parametrize("layers", [0, 1])
def test_the_last_neighbor_leaves_slowly(layers):
    """Not within the last tenth of an angstrom, though scalars are normalised."""
    model = make_model(
        {"y": target(sample_kind="system")},
        expansion__basis__radial__type="Bessel",
        expansion__cutoff__smoothing={"type": "Smoothstep", "width": 4.0},
        species__type="tensor_reduced",
        messages__layers=layers,
    )
    for block in model.model.heads()["y"].blocks:
        torch.nn.init.normal_(block.linear.weight)
    distances = np.linspace(1.0, 5.1, 411)  # Å, beyond the cutoff
    pairs = [ase.Atoms("H2", [[0, 0, 0], [0, 0, r]]) for r in distances]
    y = predict(model, pairs, ["y"], "system")["y"].block().values[:, 0]
    y = y.detach().numpy()
    slopes = np.abs(np.diff(y)) / 0.01 / np.ptp(y)
    assert slopes[distances[1:] > 4.7].max() < 0.05
    assert slopes.max() > 1.0


def test_types_and_properties_with_small_residuals():
    """A constant shielding of one type, and noise in one property, are not blown up."""
    frames = molecules(20)
    rng = np.random.default_rng(0)
    for frame in frames:
        shielding = 30.0 + 1e-9 * rng.normal(size=len(frame))
        is_carbon = frame.numbers == 6
        shielding[is_carbon] += 10 * rng.normal(size=is_carbon.sum())
        frame.arrays["shielding"] = shielding
        frame.info["two"] = rng.normal(size=2) * [1.0, 1e-12]
    model = train(
        {
            "mtt::shielding": {"key": "shielding", "sample_kind": "atom"},
            "mtt::two": {"key": "two", "num_subtargets": 2},
        },
        frames,
    )
    for name, scales in model.baseline.scaler.model.scales.items():
        values = scales.block().values
        assert values.min() / values.max() == pytest.approx(SCALE_FLOOR), name


def test_properties_without_values_set_no_floor():
    """Their scale is 1, whatever the unit of the others."""
    frames = molecules(20)
    rng = np.random.default_rng(0)
    for frame in frames:
        frame.info["y"] = [1e-9 * rng.normal(), np.nan]
    model = train({"mtt::y": {"key": "y", "num_subtargets": 2}}, frames)
    scales = model.baseline.scaler.model.scales["mtt::y"].block().values[0]
    assert 1e-12 < scales[0] < 1e-8
    assert scales[1] == 1.0


def test_energies_that_do_not_vary_have_forces_to_learn():
    frames = ase.io.read(ETHANOL, ":20")
    for frame in frames:
        frame.arrays["F"] = frame.get_forces()
        frame.info["E"] = -1.0
        frame.calc = None
    energy = {"key": "E", "unit": "eV", "forces": {"key": "F"}, "stress": False}
    model = train({"energy": energy}, frames)
    forces = np.concatenate([frame.arrays["F"] for frame in frames])
    [[scale]] = model.baseline.scaler.model.scales["energy"].block().values.tolist()
    assert scale == pytest.approx(np.sqrt((forces**2).mean()), rel=0.1)  # trained on 18
    assert all(
        weights.any() for weights in model.model.heads()["energy"].last_weights()
    )
