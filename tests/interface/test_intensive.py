"""Targets that are means over atoms, or sums over atoms per volume."""

from pathlib import Path

import ase.build
import ase.io
import numpy as np
import pytest
import torch
from metatensor.torch import Labels
from metatrain.utils.errors import ArchitectureError
from metatrain.utils.io import load_model

from helpers import cartesian, crystal, make_model, molecules, predict, target
from metatrain_scalar_tensor.training.check_hypers import check_hypers
from options import train_in, write_options


pytestmark = pytest.mark.usefixtures("in_temporary_folder")

TARGETS = {
    "mtt::mean": {"key": "mean"},
    "mtt::volume": {"key": "volume", "type": {"cartesian": {"rank": 2}}},
}
KINDS = {"mtt::mean": "mean", "mtt::volume": "volume"}


def test_a_fit_finds_intensive_values():
    """Of cells of different sizes, with values that the composition explains."""
    frames = []
    for i in range(20):
        frame = ase.build.bulk("Cu", a=3.5 + 0.01 * i).repeat((1, 1, 1 + i % 3))
        frame.rattle(0.05, seed=i)
        numbers = frame.numbers
        numbers[: i % 2] = 47
        frame.numbers = numbers
        frame.info["mean"] = np.mean(frame.numbers)
        frame.info["volume"] = frame.numbers.sum() / frame.get_volume() * np.eye(3)
        frames.append(frame)
    ase.io.write("data.xyz", frames)
    options = write_options(
        systems="data.xyz",
        architecture__model__intensive=KINDS,
        architecture__training={
            "num_epochs": 0,
            "solve_heads": True,
            "num_ensemble_members": 2,
        },
        test_set=0.2,
        final_eval=True,
    )
    options.training_set.targets = TARGETS
    checkpoint = train_in(Path("run").absolute(), options)
    for name in KINDS:  # not "(per atom)"
        assert checkpoint["best_results"][f"{name} RMSE"] < 1e-6
    model = load_model("run/model.ckpt").double().eval()
    names = [*KINDS, "mtt::aux::mean_uncertainty"]
    for frame in frames[:3]:
        found = predict(model, [frame, frame.repeat((2, 1, 1))], names, "system")
        for name in KINDS:
            values = found[name].block().values.detach().numpy()
            expected = frame.info[TARGETS[name]["key"]]
            for value in values:
                np.testing.assert_allclose(value[..., 0].squeeze(), expected, atol=1e-6)


def test_what_is_requested_for_atoms():
    """The values of which a mean is the mean, and contributions per volume."""
    targets = {name: target(sample_kind="system") for name in KINDS}
    model = make_model(targets, intensive=KINDS)
    frame = crystal()
    atoms = predict(model, [frame], list(KINDS), "atom")
    structure = predict(model, [frame], list(KINDS), "system")
    for name, reduce in (("mtt::mean", torch.mean), ("mtt::volume", torch.sum)):
        whole = structure[name].block().values.sum()
        parts = reduce(atoms[name].block().values)
        torch.testing.assert_close(parts, whole, atol=1e-12, rtol=1e-12)
    some = Labels(["system", "atom"], torch.tensor([[0, 0], [0, 2]]))
    with pytest.raises(ValueError, match="'mtt::mean' .* 2 of 4 atoms are selected"):
        predict(model, [frame], ["mtt::mean"], "system", some)
    with pytest.raises(ValueError, match="'mtt::volume' .* structure 0 .* has none"):
        predict(model, molecules(1), ["mtt::volume"], "system")


def test_traceless_targets_have_no_trace():
    symmetry = {"y": "ij=ji traceless"}
    model = make_model({"y": cartesian(2)}, index_symmetry=symmetry)
    values = predict(model, molecules(1), ["y"])["y"].block().values[..., 0]
    traces = values.diagonal(dim1=1, dim2=2).sum(1)
    assert values.abs().max() > 1e-3
    assert traces.abs().max() < 1e-14


def test_structures_without_volume_are_refused():
    frames = [crystal() for _ in range(20)]
    for frame in frames:
        frame.info["y"] = 1.0
        frame.cell[2], frame.pbc = 0.0, [True, True, False]
    ase.io.write("data.xyz", frames)
    options = write_options(
        systems="data.xyz", architecture__model__intensive={"mtt::y": "volume"}
    )
    options.training_set.targets = {"mtt::y": {"key": "y"}}
    with pytest.raises(
        ArchitectureError,
        match="'mtt::y' of structure .* along 2 of three lattice vectors",
    ):
        train_in(Path("run").absolute(), options)


def test_targets_that_grow_with_the_structure_are_others():
    hypers = {
        "best_model_metric": "loss",
        "num_ensemble_members": 0,
        "per_structure_targets": ["y"],
        "atomic_baseline": {},
        "fixed_scaling_weights": {},
        "loss": "mse",
    }
    check_hypers(hypers, [], ["y"])
    with pytest.raises(ValueError, match=r"\['y'\] are in 'model.intensive' and"):
        check_hypers(hypers, ["y"], ["y"])
