"""Exported models that are evaluated often, and from several threads."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import ase.io
import numpy as np
import torch
from metatomic.torch import (
    ModelEvaluationOptions,
    ModelOutput,
    System,
    load_atomistic_model,
)
from metatrain.utils.neighbor_lists import get_system_with_neighbor_lists

from files import ETHANOL, PROJECT


OPTIONS = ModelEvaluationOptions(
    length_unit="angstrom",
    outputs={
        "energy": ModelOutput(unit="eV", sample_kind="system"),
        "mtt::mu": ModelOutput(sample_kind="system"),
    },
)


def evaluate(model, frame):
    """Energy, forces and a vector of one structure."""
    system = System(
        types=torch.tensor(frame.numbers, dtype=torch.int32),
        positions=torch.tensor(frame.positions, requires_grad=True),
        cell=torch.zeros(3, 3, dtype=torch.float64),
        pbc=torch.zeros(3, dtype=torch.bool),
    )
    system = get_system_with_neighbor_lists(system, model.requested_neighbor_lists())
    outputs = model([system], OPTIONS, check_consistency=False)
    energy = outputs["energy"].block().values
    [gradient] = torch.autograd.grad(energy.sum(), system.positions)
    return energy.detach(), -gradient, outputs["mtt::mu"].block().values.detach()


def test_threads_share_a_model(ethanol):
    model = load_atomistic_model(ethanol / "model.pt")
    frames = ase.io.read(ETHANOL, ":20") * 4
    expected = [evaluate(model, frame) for frame in frames]
    with ThreadPoolExecutor(max_workers=4) as threads:
        found = list(threads.map(lambda frame: evaluate(model, frame), frames))
    torch.testing.assert_close(found, expected, atol=1e-10, rtol=0)


def test_threads_compile_a_model_together(ethanol):
    """The first evaluations, in which TorchScript optimizes, from several threads."""
    frames = ase.io.read(ETHANOL, ":20")
    model = load_atomistic_model(ethanol / "model.pt")
    with ThreadPoolExecutor(max_workers=4) as threads:
        found = list(threads.map(lambda frame: evaluate(model, frame), frames))
    expected = [evaluate(model, frame) for frame in frames]
    torch.testing.assert_close(found, expected, atol=1e-10, rtol=0)


def test_memory_does_not_grow(ethanol):
    """Over 1,500 steps after 500 others, by less than 2 kB a step.

    A system with its neighbor list and its gradients has more than that.
    """
    output = subprocess.check_output(
        [sys.executable, PROJECT / "benchmarks" / "memory.py"]
        + [ethanol / "model.pt", "--steps", "2000", "--stride", "500"],
        cwd=PROJECT,
        text=True,
    )
    memory = [float(line.split()[1]) for line in output.splitlines()[1:]]
    assert len(memory) == 4
    assert np.diff(memory).sum() < 3.0  # MB
