"""Structures that no model can be right for: refused, with their number."""

import ase
import ase.io
import numpy as np
import pytest
import torch
from metatomic.torch import ModelOutput, System
from metatrain.cli.train import train_model

from helpers import cluster, crystal, make_model, molecules, prepare, target
from metatrain_scalar_tensor.structures import closest_distance
from options import write_options


pytestmark = pytest.mark.usefixtures("in_temporary_folder")


def nan_position(frame):
    frame.positions[2, 1] = np.nan


def infinite_position(frame):
    frame.positions[2, 1] = np.inf


def nan_cell(frame):
    frame.cell = [[np.nan, 0, 0], [0, 9, 0], [0, 0, 9]]
    frame.pbc = True


def no_volume(frame):
    frame.cell = [[9, 0, 0], [9, 0, 0], [0, 0, 9]]
    frame.pbc = True


def coincident(frame):
    frame.positions[3] = frame.positions[1]


def almost_coincident(frame):
    frame.positions[3] = frame.positions[1] + [0.0, 0.05, 0.0]


def close_to_an_image(frame):
    frame.cell = [[20, 0, 0], [0, 20, 0], [0, 0, 20]]
    frame.pbc = True
    frame.positions[3] = frame.positions[1] + [20.01, 20.0, -40.0]


@pytest.mark.parametrize("part", ["training", "validation"])
@pytest.mark.parametrize(
    "spoil, message",
    [
        (no_volume, "periodic, and its cell has no volume"),
        (coincident, "atoms 1 and 3 at a distance of 0 angstrom, and less than 0.1 is"),
        (almost_coincident, "atoms 1 and 3 at a distance of 0.05 angstrom"),
        (close_to_an_image, "atoms 1 and 3 at a distance of 0.01 angstrom"),
    ],
)
def test_bad_structures_in_the_data(spoil, message, part):
    frames = molecules(20)
    spoil(frames[7])
    ase.io.write("data.xyz", frames)
    options = write_options(systems="data.xyz", test_set=0.0)
    held_out = [5, 7] if part == "validation" else [5, 6]
    options.training_set.indices = sorted(set(range(20)) - set(held_out))
    options.validation_set = {"indices": held_out}
    where = rf"structure 7 of 'data.xyz' \({part} set\) (has|is) "
    with pytest.raises(Exception, match=where + message):
        train_model(options)


@pytest.mark.parametrize("spoil", [nan_position, infinite_position, nan_cell])
@pytest.mark.parametrize("part", ["training_set", "validation_set", "test_set"])
def test_values_in_the_data_that_are_not_finite(spoil, part):
    frames = molecules(20)
    ase.io.write("data.xyz", frames)
    spoil(frames[7])
    ase.io.write("bad.xyz", frames)
    options = write_options(systems="data.xyz")
    for name in ("validation_set", "test_set"):
        options[name] = options.training_set.copy()
    options[part].systems.read_from = "bad.xyz"
    with pytest.raises(Exception, match="structure 7 of 'bad.xyz' has NaN or infinite"):
        train_model(options)


def test_the_file_of_several_data_sets():
    for i in range(2):
        ase.io.write(f"data{i}.xyz", molecules(10))
    frames = molecules(10)
    coincident(frames[4])
    ase.io.write("data1.xyz", frames)
    options = write_options(test_set=0.0)
    one = options.training_set
    options.training_set = [one, one.copy()]
    for i in range(2):
        options.training_set[i].systems.read_from = f"data{i}.xyz"
    with pytest.raises(Exception, match="structure 4 of 'data1.xyz'"):
        train_model(options)


def test_the_smallest_distance_is_in_the_unit_of_the_data():
    assert closest_distance("angstrom") == pytest.approx(0.1)
    assert closest_distance("bohr") == pytest.approx(0.18897, rel=1e-4)
    assert closest_distance("nm") == pytest.approx(0.01)
    assert closest_distance("") == pytest.approx(0.01)  # it could be nm


@pytest.fixture(scope="module")
def model():
    return make_model({"y": target(sample_kind="system")})


@pytest.fixture(params=["eager", "TorchScript"])
def evaluate(request, model):
    outputs = {"y": ModelOutput(sample_kind="system")}
    function = torch.jit.script(model) if request.param == "TorchScript" else model
    return lambda frames: function(prepare(model, frames), outputs)


@pytest.mark.parametrize("distance", [0.0, 1e-9, 0.09])
def test_atoms_on_top_of_each_other(evaluate, distance):
    frames = [molecules(1)[0], cluster(5), crystal()]
    frames[1].positions[4] = frames[1].positions[2] + [distance, 0, 0]
    with pytest.raises(Exception, match="structure 1 .* has atoms 2 and 4 at a distan"):
        evaluate(frames)
    frames[1].positions[4] = frames[1].positions[2] + [0.11, 0, 0]
    assert evaluate(frames)["y"].block().values.isfinite().all()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("what", ["positions", "cell"])
def test_values_that_are_not_finite(model, what, value):
    """As engines give them, with a neighbor list of their own."""
    frame = crystal()
    [system] = prepare(model, [frame])
    positions, cell = system.positions.clone(), system.cell.clone()
    (positions if what == "positions" else cell)[0, 0] = value
    spoiled = System(system.types, positions, cell, system.pbc)
    for options in system.known_neighbor_lists():
        spoiled.add_neighbor_list(options, system.get_neighbor_list(options))
    with pytest.raises(ValueError, match="structure 1 .* NaN or infinite .* explode"):
        model([system, spoiled], model.outputs)
