"""Charges times positions, in dipoles of molecules."""

import math

import ase
import ase.build
import ase.io
import numpy as np
import pytest
import torch
from metatomic.torch import ModelOutput
from metatrain.utils.io import load_model

from helpers import cartesian, make_model, molecules, predict, prepare, spherical
from options import train_in, write_options


MU = {"mtt::mu": cartesian(1, sample_kind="system")}
SMALL = {"expansion__basis__max_angular": 2, "expansion__basis__radial__max_radial": 2}


def with_charges(targets=MU, **changes):
    """A model with random weights, those of linear terms as well."""
    model = make_model(targets, charges=["mtt::mu"], **SMALL, **changes)
    for head in model.model.heads().values():
        for weights in head.last_weights():
            torch.nn.init.normal_(weights)
    return model


def dipoles(model, frames):
    return predict(model, frames, ["mtt::mu"], "system")["mtt::mu"].block().values


@pytest.mark.parametrize("target", [cartesian(1), spherical((1, 1))], ids=str)
def test_equivariant_and_translation_invariant(target):
    model = with_charges({"mtt::mu": {**target, "sample_kind": "system"}})
    frames = molecules()
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    rotation *= -np.sign(np.linalg.det(rotation))  # with an inversion
    moved = [frame.copy() for frame in frames]
    for frame in moved:
        frame.positions = frame.positions @ rotation.T + [1.0, -2.0, 3.0]
    expected = dipoles(model, frames)
    found = dipoles(model, moved)
    order = [2, 0, 1] if target["type"] != MU["mtt::mu"]["type"] else [0, 1, 2]
    expected, found = expected[:, order], found[:, order]
    rotated = torch.tensor(rotation) @ expected
    torch.testing.assert_close(found, rotated, atol=1e-9, rtol=1e-9)


def test_charges_of_molecules_out_of_reach_of_each_other(tmp_path):
    """Hydrogen of one molecule gives its electron to the carbon of the other."""
    rng = np.random.default_rng(0)
    frames = []
    for _ in range(12):
        first, second = ase.build.molecule("HF"), ase.build.molecule("CO")
        for molecule in (first, second):
            molecule.rotate(rng.uniform(0, 360), rng.normal(size=3))
        direction = rng.normal(size=3)
        second.translate(rng.uniform(8, 12) * direction / np.linalg.norm(direction))
        frame = first + second
        hydrogen, carbon = [frame.symbols == symbol for symbol in "HC"]
        frame.info["mu"] = frame.positions[hydrogen][0] - frame.positions[carbon][0]
        frames.append(frame)
    ase.io.write(tmp_path / "data.xyz", frames)
    options = write_options(
        systems=str(tmp_path / "data.xyz"),
        architecture__training={"num_epochs": 0, "solve_heads": True},
        architecture__model__charges=["mtt::mu"],
        test_set=0.0,
    )
    del options.training_set.targets["mtt::alpha"]
    train_in(tmp_path, options)
    model = load_model(tmp_path / "model.ckpt").double().eval()
    expected = torch.tensor(np.array([frame.info["mu"] for frame in frames]))
    torch.testing.assert_close(
        dipoles(model, frames)[:, :, 0], expected, atol=1e-5, rtol=0
    )


def test_exported_model_needs_the_whole_molecule():
    model = with_charges()
    frames = molecules()
    expected = dipoles(model, frames)
    exported = model.export()
    assert exported.capabilities().interaction_range == math.inf
    scripted = torch.jit.script(exported.module)
    outputs = {"mtt::mu": ModelOutput(sample_kind="system")}
    values = scripted(prepare(model, frames), outputs, None)["mtt::mu"].block().values
    torch.testing.assert_close(values, expected, atol=1e-10, rtol=1e-10)


def test_other_targets_do_not_read_the_positions():
    model = with_charges({**MU, "mtt::force": cartesian(1)})
    crystal = ase.build.bulk("C").repeat(2)
    predict(model, [crystal], ["mtt::force"])
    with pytest.raises(ValueError, match="structure 0 is periodic, and charges times"):
        dipoles(model, [crystal])


@pytest.mark.parametrize(
    "target",
    [
        cartesian(1),  # of atoms
        cartesian(2, sample_kind="system"),
        spherical((1, -1), sample_kind="system"),
    ],
    ids=str,
)
def test_only_vectors_of_molecules_have_charges(target):
    with pytest.raises(ValueError, match="'mtt::mu' is not a vector of whole"):
        make_model({"mtt::mu": target}, charges=["mtt::mu"])


def test_charges_of_an_unknown_target_are_refused():
    with pytest.raises(ValueError, match="mtt::dipole"):
        make_model(MU, charges=["mtt::dipole"])
