"""Large energies in float32, and threads from the first evaluation on."""

import io
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import ase.io
import numpy as np
import pytest
import torch
from metatomic.torch import (
    ModelEvaluationOptions,
    ModelOutput,
    load_atomistic_model,
    systems_to_torch,
)
from metatrain.utils.io import load_model
from metatrain.utils.neighbor_lists import get_system_with_neighbor_lists

from helpers import molecules
from options import train_in, write_options


WEIGHTS = {1: -13.581, 6: -1036.417, 7: -1488.229, 8: -2043.853}  # eV, of all electrons


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Of a model in float32 of total energies and a vector."""
    folder = tmp_path_factory.mktemp("energies")
    frames = molecules(20)
    rng = np.random.default_rng(0)
    for frame in frames:
        frame.info["E"] = sum(WEIGHTS[z] for z in frame.numbers)
        frame.info["E"] += rng.normal(scale=0.1 * len(frame))
    ase.io.write(folder / "data.xyz", frames)
    options = write_options(
        systems=folder / "data.xyz", base_precision=32, test_set=0.0
    )
    del options.training_set.targets["mtt::alpha"]
    options.training_set.targets["energy"] = {"key": "E", "unit": "eV"}
    train_in(folder, options)
    return folder


OPTIONS = ModelEvaluationOptions(
    length_unit="angstrom",
    outputs={
        "energy": ModelOutput(unit="eV", sample_kind="system"),
        "mtt::mu": ModelOutput(unit="e*A", sample_kind="system"),
    },
)


def prepared(model, frame, dtype=torch.float32):
    return get_system_with_neighbor_lists(
        systems_to_torch(frame, dtype=dtype), model.requested_neighbor_lists()
    )


def test_total_energies_are_rounded_once(folder):
    """In float32, the energy of many molecules is that of float64 to one rounding."""
    frame = molecules(1)[0]
    for k in range(1, 36):
        other = molecules(20)[k % 20]
        other.positions += [20.0 * k, 0.0, 0.0]
        frame += other
    model = load_atomistic_model(folder / "model.pt")
    outputs = model([prepared(model, frame)], OPTIONS, check_consistency=False)
    energy = outputs["energy"].block().values
    exact = load_model(folder / "model.ckpt").double().eval()
    system = prepared(model, frame, torch.float64)
    for sample_kind in ("atom", "system"):
        values = exact([system], {"energy": ModelOutput(sample_kind=sample_kind)})
        expected = values["energy"].block().values.sum().item()
        assert abs(expected) > 2e5
        step = np.spacing(np.float32(abs(expected)))  # 0.016 eV
        assert abs(energy.item() - expected) <= step


def evaluate(model, system):
    outputs = model([system], OPTIONS, check_consistency=False)
    return [outputs[name].block().values.detach() for name in OPTIONS.outputs]


def test_an_evaluation_changes_nothing(folder):
    """Threads that evaluate a model together must not see it change."""
    model = load_atomistic_model(folder / "model.pt")
    saved = []
    for _ in range(2):
        file = io.BytesIO()
        torch.jit.save(model.module, file)
        saved.append(file.getvalue())
        evaluate(model, prepared(model, molecules(1)[0]))
    assert saved[0] == saved[1]


def test_threads_evaluate_a_model_from_the_first_call_on(folder):
    model = load_atomistic_model(folder / "model.pt")
    systems = [prepared(model, frame) for frame in molecules(20) * 2]
    with ThreadPoolExecutor(max_workers=8) as threads:
        found = list(threads.map(partial(evaluate, model), systems))
    torch.testing.assert_close(found, [evaluate(model, system) for system in systems])
