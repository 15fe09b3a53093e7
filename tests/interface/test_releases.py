"""Checkpoints of all released versions can be read: ``docs/versions.md``."""

import json

import pytest
from metatomic_ase import MetatomicCalculator
from metatrain.cli.export import export_model

from options import train_in
from releases import FOLDER, KINDS, options_of, predictions, unpacked


FILES = sorted(FOLDER.glob("*.ckpt.xz"))


def kind_of(path):
    return path.name.removesuffix(".ckpt.xz").rpartition("-")[2]


def test_there_are_checkpoints_of_all_kinds():
    assert {kind_of(path) for path in FILES} == set(KINDS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_predictions_of_released_checkpoints(path, tmp_path):
    """They are those that the version had when it was released."""
    released = json.loads((FOLDER / path.name.replace(".ckpt.xz", ".json")).read_text())
    present = predictions(unpacked(path, tmp_path))
    assert present.keys() == released.keys()
    for name, values in present.items():
        assert values == pytest.approx(released[name], rel=1e-9, abs=1e-9), name


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_use_of_released_checkpoints(path, tmp_path, monkeypatch):
    """They can be exported, trained further, and be the start of a fine-tuning."""
    monkeypatch.chdir(tmp_path)
    checkpoint, options = unpacked(path, tmp_path), options_of(kind_of(path))
    export_model(checkpoint, "exported.pt")
    MetatomicCalculator("exported.pt")
    training = options.architecture.training
    training.update(solve_heads=False, num_ensemble_members=0, num_epochs=3)
    restarted = train_in(tmp_path / "restarted", options, restart_from=checkpoint)
    assert restarted["epoch"] == 2
    training.update(num_epochs=1, finetune={"read_from": str(checkpoint)})
    assert train_in(tmp_path / "finetuned", options)["epoch"] == 0
