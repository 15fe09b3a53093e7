"""Files with six numbers of symmetric matrices, which are to have nine."""

import ase
import ase.io
import numpy as np
import pytest
from ase.stress import full_3x3_to_voigt_6_stress
from metatrain.cli.train import train_model

from helpers import molecules
from metatrain_scalar_tensor.command import main
from metatrain_scalar_tensor.command.convert import convert
from options import write_options


pytestmark = pytest.mark.usefixtures("in_temporary_folder")


SIX = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])


@pytest.mark.parametrize(
    "order, expected",
    [
        ("voigt", [[1, 6, 5], [6, 2, 4], [5, 4, 3]]),  # xx yy zz yz xz xy
        ("vasp", [[1, 4, 6], [4, 2, 5], [6, 5, 3]]),  # xx yy zz xy yz xz
        ("cp2k", [[1, 4, 5], [4, 2, 6], [5, 6, 3]]),  # xx yy zz xy xz yz
    ],
)
def test_six_numbers_become_nine(order, expected):
    frames = molecules(20)
    for frame in frames:
        frame.info["y"] = SIX
        frame.arrays["y"] = np.outer(1 + np.arange(len(frame)), SIX)
        frame.info["known"] = np.eye(3)
    ase.io.write("six.xyz", frames)
    main(["convert", "six.xyz", "-o", "nine.xyz", "--tensor", "y", "--order", order])
    for before, after in zip(frames, ase.io.read("nine.xyz", ":")):
        np.testing.assert_array_equal(after.info["y"], expected)
        matrices = after.arrays["y"].reshape(-1, 3, 3)
        for k, matrix in enumerate(matrices):
            np.testing.assert_array_equal(matrix, (1 + k) * np.array(expected))
        np.testing.assert_array_equal(after.positions, before.positions)
        np.testing.assert_array_equal(after.info["known"], before.info["known"])
    options = write_options(systems="nine.xyz")
    options.training_set.targets = {
        "mtt::y": {
            "key": "y",
            "type": {"cartesian": {"rank": 2}},
            "sample_kind": "atom",
        }
    }
    train_model(options)


def test_tensors_of_a_lone_atom_stay_its_own():
    atom = ase.Atoms("H", [[0.0, 0.0, 0.0]])
    atom.info["S"] = SIX
    atom.arrays["y"] = SIX.reshape(1, 6)
    ase.io.write("six.xyz", atom)
    convert("six.xyz", "nine.xyz", ["S", "y"], "voigt")
    converted = ase.io.read("nine.xyz")
    assert converted.arrays["y"].shape == (1, 9)
    np.testing.assert_array_equal(converted.arrays["y"][0], converted.info["S"].ravel())


def test_voigt_is_the_order_of_ase():
    stress = np.arange(9.0).reshape(3, 3)
    stress = stress + stress.T
    frame = molecules(1)[0]
    frame.info["S"] = full_3x3_to_voigt_6_stress(stress)
    ase.io.write("six.xyz", frame)
    convert("six.xyz", "nine.xyz", ["S"], "voigt")
    np.testing.assert_array_equal(ase.io.read("nine.xyz").info["S"], stress)


def test_conversions_that_make_no_sense():
    frames = molecules(3)
    frames[1].info["y"] = np.ones(5)
    ase.io.write("data.xyz", frames)
    for key, message in [
        ("y", r"structure 1 of 'data.xyz' has values of shape \(5,\) under 'y'"),
        ("z", "no structure of 'data.xyz' has the key 'z'"),
    ]:
        with pytest.raises(SystemExit, match=message):
            main(
                ["convert", "data.xyz", "-o", "x.xyz", "--tensor", key]
                + ["--order", "voigt"]
            )
