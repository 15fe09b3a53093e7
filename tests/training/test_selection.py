"""Which epoch is exported, and what is said of it."""

import logging
import re

import ase.io
import numpy as np
import pytest
import torch
from metatrain.cli.train import train_model

from helpers import assert_same, make_model, molecules, target
from metatrain_scalar_tensor.model import Model
from metatrain_scalar_tensor.training.selection import Selection
from options import write_options


pytestmark = pytest.mark.usefixtures("in_temporary_folder")


def select(metric, results):
    """The epoch that is chosen of the validation results of all epochs."""
    selection = Selection()
    model = make_model({"y": target()}, expansion__basis__max_angular=1)
    for epoch, result in enumerate(results):
        selection.offer(model, epoch, result, metric)
    return selection.epoch


@pytest.mark.parametrize("metric", ["rmse_prod", "loss"])
@pytest.mark.parametrize(
    "errors, epoch",
    [([3.0, 1.0, 2.0], 1), ([1.0, 1.0, 2.0], 1), ([1.0, 0.0, 0.0, 1.0], 2)],
)
def test_the_best_epoch_or_the_later_of_equal_ones(metric, errors, epoch):
    results = [{"loss": e, "y RMSE": e} for e in errors]
    assert select(metric, results) == epoch


def test_a_target_without_errors_does_not_hide_those_of_others():
    """Its baseline may explain it."""
    results = [{"x RMSE": 0.0, "y RMSE": error} for error in (3.0, 1.0, 2.0)]
    assert select("rmse_prod", results) == 1
    # with an error, it is worse than without
    assert select("rmse_prod", [results[0], {"x RMSE": 0.1, "y RMSE": 1.0}]) == 0


@pytest.mark.parametrize("unit", [1.0, 1e-40, 1e30])
def test_units_make_no_difference(unit):
    results = [{"x RMSE": unit * x, "y RMSE": unit} for x in (3.0, 1.0, 2.0, 1.5)]
    assert select("rmse_prod", results) == 1


def test_a_restart_compares_by_its_own_metric():
    selection = Selection()
    model = make_model({"y": target()}, expansion__basis__max_angular=1)
    results = {"loss": 5.0, "y RMSE": 2.0}
    selection.offer(model, 3, results, "rmse_prod")
    for metric, value in (("rmse_prod", 2.0), ("loss", 5.0)):
        restored = Selection()
        restored.load_state_dict(selection.state_dict(), metric)
        assert (restored.epoch, restored.value) == (3, value)
    restored = Selection()
    restored.load_state_dict(selection.state_dict(), "mae_prod")  # not computed
    assert restored.epoch is None


@pytest.mark.parametrize("metric", ["rmse_prod", "mae_prod", "loss"])
@pytest.mark.parametrize("result", [{}, {"loss": 0.0}])
def test_without_errors_it_is_the_last_epoch(metric, result):
    assert select(metric, 3 * [result]) == 2


@pytest.mark.parametrize("what", ["no set", "empty set", "only NaN"])
def test_training_without_validation_errors(what, caplog):
    frames = molecules(20)
    if what == "only NaN":
        for frame in frames[10:]:
            frame.info["mu"] = np.full(3, np.nan)
    ase.io.write("data.xyz", frames)
    options = write_options(
        systems="data.xyz",
        test_set=0.0,
        validation_set=0.01 if what == "empty set" else 0.0,
        architecture__training={"num_epochs": 3, "solve_heads": True},
        final_eval=what != "only NaN",  # metatrain divides by the number of values
    )
    del options.training_set.targets["mtt::alpha"]
    if what == "only NaN":
        options.training_set.indices = list(range(10))
        options.validation_set = {"indices": list(range(10, 20))}
    with caplog.at_level(logging.INFO):
        train_model(options)
    checkpoint = torch.load("model.ckpt", weights_only=False)
    assert checkpoint["best_epoch"] == 2
    latest, best = (
        {
            name: weights
            for name, weights in checkpoint[f"{kind}model_state_dict"].items()
            # but for the last weights, which are solved in the best one
            if ".blocks." not in name and ".coefficients." not in name
        }
        for kind in ("", "best_")
    )
    assert_same(latest, best)
    assert "There are no validation errors: the last epoch is exported" in caplog.text
    assert "Exported are the weights of epoch 2 of 3" in caplog.text


def test_the_log_ends_with_what_is_exported(caplog):
    ase.io.write("data.xyz", molecules(20))
    with caplog.at_level(logging.INFO):
        train_model(
            write_options(systems="data.xyz", architecture__training__solve_heads=True)
        )
    best = torch.load("model.ckpt", weights_only=False)["best_epoch"]
    when = "from before the first epoch" if best is None else f"of epoch {best} of 2"
    text = caplog.text[caplog.text.index(f"Exported are the weights {when}, with") :]
    assert re.search(r"validation mtt::mu RMSE \(per atom\): [\d.]+ e\*A", text)


def test_no_epoch_at_all(caplog):
    with caplog.at_level(logging.INFO):
        train_model(
            write_options(architecture__training={"num_epochs": 0, "solve_heads": True})
        )
    assert "the weights from before the first epoch, with" in caplog.text


def test_validation_structure_without_a_prediction(monkeypatch):
    """Whatever makes a prediction NaN: the structure is named, and nothing exported."""
    ase.io.write("data.xyz", molecules(20))
    options = write_options(systems="data.xyz", test_set=0.0)
    options.training_set.indices = list(range(10))
    options.validation_set = {"indices": [11, 13, 17]}
    first = torch.tensor(molecules(14)[13].positions[0])
    predict = Model.forward

    def spoiled(self, structures, *arguments):
        prediction = predict(self, structures, *arguments)
        end = 0
        for system in structures.systems:
            start, end = end, end + len(system)
            if torch.allclose(system.positions[0], first):
                for [values] in prediction.values.values():
                    values.data[start:end] = torch.nan
        return prediction

    monkeypatch.setattr(Model, "forward", spoiled)
    with pytest.raises(
        Exception, match=r"prediction for structure 13 of 'data.xyz' \(validation set\)"
    ):
        train_model(options)
