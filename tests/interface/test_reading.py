"""What is wrong with the values in an extxyz file."""

import ase
import ase.io
import metatensor.torch as mts
import numpy as np
import pytest
import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatrain.cli.train import train_model

from helpers import molecules
from options import write_options


pytestmark = pytest.mark.usefixtures("in_temporary_folder")


def train(frames, **target):
    """Train on one target, ``mtt::y`` with the key ``y``."""
    ase.io.write("data.xyz", frames)
    options = write_options(systems="data.xyz")
    options.training_set.targets = {"mtt::y": {"key": "y", **target}}
    train_model(options)


def frames_with(values_of, i=3):
    """Molecules of which one has other values."""
    frames = molecules(20)
    for frame in frames:
        frame.info["y"] = np.arange(9.0).reshape(3, 3)
        frame.arrays["y"] = np.ones((len(frame), 9))
    values_of(frames[i])
    return frames


def set_info(value):
    return lambda frame: frame.info.update(y=value)


def set_array(width):
    return lambda frame: frame.arrays.update(y=np.ones((len(frame), width)))


MATRIX = {"type": {"cartesian": {"rank": 2}}}
OF_ATOMS = {**MATRIX, "sample_kind": "atom"}
WHERE = "target 'mtt::y': structure 3 of 'data.xyz' has "


@pytest.mark.parametrize(
    "values_of, target, message",
    [
        (
            set_info(np.ones(6)),
            MATRIX,
            "6 numbers under 'y', and a Cartesian tensor of rank 2 has 9: .*convert'",
        ),
        (set_info(np.ones(3)), MATRIX, "3 numbers under 'y', and a Cart.* has 9$"),
        (set_info(np.ones(18)), MATRIX, "18 numbers under 'y', and a Cart.* has 9$"),
        (
            set_array(6),
            OF_ATOMS,
            "6 numbers for every atom under 'y', and a Cartesian tensor of rank 2 has "
            "9: 'scalar-tensor convert'",
        ),
        (set_array(2), OF_ATOMS, "2 numbers for every atom under 'y'"),
        (
            set_info("unknown"),
            MATRIX,
            "no numbers under 'y', but 'unknown'",
        ),
        (
            lambda frame: frame.info.pop("y"),
            MATRIX,
            r"no 'y'. There are keys of the .*",
        ),
    ],
)
def test_wrong_numbers_of_values(values_of, target, message):
    with pytest.raises(ValueError, match=WHERE + message):
        train(frames_with(values_of), **target)


@pytest.mark.parametrize(
    "target, message",
    [
        ({"type": {"cartesian": {"rank": 1}}}, "a Cartesian tensor of rank 1 has 3"),
        ({"num_subtargets": 4}, "a scalar with 'num_subtargets: 4' has 4"),
        (
            {"type": {"spherical": {"irreps": [{"o3_lambda": 2, "o3_sigma": 1}]}}},
            "a spherical tensor {'irreps': .* has 5",
        ),
    ],
)
def test_other_targets(target, message):
    with pytest.raises(ValueError, match=f"structure 0 .* 9 numbers.*{message}"):
        train(frames_with(lambda frame: None), **target)


def test_six_columns_that_would_make_other_atoms():
    """6 columns of 3 atoms are 2 matrices to metatrain."""
    frames = [ase.Atoms("OH2", np.eye(3) + i / 20) for i in range(20)]
    for frame in frames:
        frame.arrays["y"] = np.ones((3, 6))
    with pytest.raises(
        Exception, match="structure .* 2 values .* where 3 are expected"
    ):
        train(frames, **OF_ATOMS)


def test_mts_files_of_another_target():
    ase.io.write("data.xyz", molecules(20))
    values = torch.zeros(20, 5, 1, dtype=torch.float64)
    samples = Labels(["system"], torch.arange(20).reshape(-1, 1))
    block = TensorBlock(values, samples, [Labels.range("xyz", 5)], Labels.range("y", 1))
    mts.save("y.mts", TensorMap(Labels.single(), [block]))
    options = write_options(systems="data.xyz")
    options.training_set.targets = {
        "mtt::y": {"read_from": "y.mts", "type": {"cartesian": {"rank": 1}}}
    }
    with pytest.raises(ValueError, match="target 'mtt::y' of 'y.mts': .*expected"):
        train_model(options)


def test_keys_that_ase_takes_for_results():
    frames = molecules(5)
    for frame in frames:
        frame.info["dipole"] = np.ones(3)
    ase.io.write("data.xyz", frames)
    options = write_options(systems="data.xyz")
    options.training_set.targets = {
        "mtt::y": {"key": "dipole", "type": {"cartesian": {"rank": 1}}}
    }
    with pytest.raises(ValueError, match="no 'dipole'.* result of a calculator: give"):
        train_model(options)


@pytest.mark.parametrize(
    "name, target, message",
    [
        (
            "mtt::alpha.static",
            {},
            "'mtt::alpha.static' can't.* Call it 'mtt::alpha_sta",
        ),
        ("mtt::alpha static", {}, "'mtt::alpha static' can't .*'mtt::alpha_static'"),
        ("mtt::2nd", {}, "'mtt::2nd' can't be the name of a target: .*digit in front"),
        ("mtt::feature", {}, "'mtt::feature' can't .* all models have an output"),
        ("mtt::y", {"unit": "ppm"}, "unit 'ppm' of target 'mtt::y' .*leave 'unit' out"),
    ],
)
def test_names_and_units_that_are_refused(name, target, message):
    ase.io.write("data.xyz", frames_with(lambda frame: None))
    options = write_options(systems="data.xyz")
    options.training_set.targets = {name: {"key": "y", **MATRIX, **target}}
    with pytest.raises(ValueError, match=message):
        train_model(options)


def test_names_that_are_fine():
    frames = frames_with(lambda frame: None)
    for frame in frames:
        frame.info["y"] = 1.0
    ase.io.write("data.xyz", frames)
    options = write_options(systems="data.xyz", test_set=0.0, final_eval=True)
    options.training_set.targets = {
        name: {"key": "y"} for name in ("mtt::y/pbe", "mtt::Alpha_2", "energy/pbe0-d3")
    }
    train_model(options)
