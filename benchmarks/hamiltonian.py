"""Errors of Fock matrices with and without trace supervision and gradient basis.

The data and options of ``examples/hamiltonian``, the same structures and epochs for
all, mean of the seeds; errors in meV per matrix element. ``pet``, which knows no
targets of pairs, learns the blocks of atoms, with its augmentation by rotations. Needs
``pip install ".[hamiltonian]"``.

::

    cd examples/hamiltonian
    python make_data.py train.zip --number 200 --seed 1
    python make_data.py test.zip --number 20 --seed 2
    cd ../../benchmarks
    python hamiltonian.py ../examples/hamiltonian/{train,test}.zip
"""

import argparse
import sys
import tempfile
import time
import warnings
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any, Dict, List, Tuple

import numpy as np
import torch
from accuracy import Record, once
from metatensor.torch import Labels, TensorMap
from metatomic.torch import ModelOutput, System, load_atomistic_model
from metatomic.torch.o3 import O3Transformations
from metatrain.cli.train import train_model
from metatrain.utils.data import DiskDataset
from omegaconf import OmegaConf
from scipy.spatial.transform import Rotation


PROJECT = Path(__file__).parent.parent
sys.path.insert(0, str(PROJECT / "examples" / "hamiltonian"))
from evaluate import OFFSITE, ONSITE, OUTPUTS, predict  # noqa: E402


TRACES = "architecture.training.trace_supervision.weight"
GRADIENTS = "architecture.model.tensor_basis.gradients"
VARIANTS: Dict[str, Dict[str, Any]] = {  # changes of the options
    "neither": {},
    "traces": {TRACES: 0.1},
    "gradients": {GRADIENTS: 16},
    "both": {TRACES: 0.1, GRADIENTS: 16},
    "one layer of messages": {"architecture.model.messages.layers": 1},
    "pet, blocks of atoms": {
        "architecture": {"name": "pet", "training": {"batch_size": 8}}
    },
}


def sum_of_errors(predicted: TensorMap, reference: TensorMap) -> Tuple[float, int]:
    """Sum of the absolute errors of all elements in meV, and their number."""
    total, number = 0.0, 0
    for key, block in reference.items():
        if len(block.values) > 0:
            ours = predicted.block(key)
            samples = block.samples.values.clone()
            samples[:, 0] = 0  # every structure is predicted by itself
            rows = ours.samples.select(Labels(block.samples.names, samples))
            errors = ours.values[rows] - block.values
            total += 1000 * float(errors.abs().sum())
            number += errors.numel()
    return total, number


def equivariance_error(
    model: torch.nn.Module, system: System, outputs: Dict[str, ModelOutput]
) -> float:
    """Mean absolute change of the elements in meV, under a rotated molecule."""
    matrix = torch.tensor(Rotation.random(rng=np.random.default_rng(0)).as_matrix())
    positions = system.positions @ matrix.T.to(system.positions)
    rotated = System(system.types, positions, system.cell, system.pbc)
    operation = O3Transformations(matrix.unsqueeze(0), 4)
    before, after = (predict(model, s, outputs) for s in (system, rotated))
    sums = np.zeros(2)
    for name in outputs:
        expected = operation.transform_tensormap(before[name])
        sums += sum_of_errors(after[name], expected)
    return sums[0] / sums[1]


def run(settings: Record, train_path: Path, test_path: Path) -> Record:
    """Train and test once."""
    options = OmegaConf.load(PROJECT / "options" / "hamiltonian.yaml")
    changes = {"seed": settings["seed"], **VARIANTS[settings["variant"]]}
    changes["architecture.training.num_epochs"] = settings["epochs"]
    for path, value in changes.items():
        OmegaConf.update(options, path, value, merge=path != "architecture")
    outputs = dict(OUTPUTS)
    if options.architecture.name == "pet":
        del options.training_set.targets[OFFSITE], outputs[OFFSITE]
    options.training_set.systems.read_from = str(train_path)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start = time.perf_counter()
        train_model(
            options,
            output=folder / "model.pt",
            extensions=folder / "extensions",
            checkpoint_dir=folder,
        )
        seconds = time.perf_counter() - start
        model = load_atomistic_model(str(folder / "model.pt"))
    sums = {name: np.zeros(2) for name in outputs}
    milliseconds: List[float] = []
    rotation: List[float] = []
    for sample in DiskDataset(str(test_path)):
        start = time.perf_counter()
        values = predict(model, sample.system, outputs)
        milliseconds.append(1e3 * (time.perf_counter() - start))
        for name, total in sums.items():
            total += sum_of_errors(values[name], sample._asdict()[name])
        rotation.append(equivariance_error(model, sample.system, outputs))
    errors = {name: float(total[0] / total[1]) for name, total in sums.items()}
    return {
        **settings,
        "atoms": errors[ONSITE],
        "pairs": errors.get(OFFSITE, float("nan")),
        "rotation": mean(rotation),
        "seconds": seconds,
        "milliseconds": float(np.median(milliseconds)),
    }


def main() -> None:
    """Train everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS))
    parser.add_argument("--save", type=Path, help="file with the results of all runs")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")

    print("| variant | atoms | pairs | change under rotation | s | ms / structure |")
    print("|---|---|---|---|---|---|")
    for variant in arguments.variants:
        records: List[Record] = []
        for seed in arguments.seeds:
            settings = {"variant": variant, "seed": seed, "epochs": arguments.epochs}
            new_run = partial(run, settings, arguments.train, arguments.test)
            records.append(once(settings, arguments.save, new_run))
        cells = [
            f"{mean(r[name] for r in records):.3g}"
            for name in ("atoms", "pairs", "rotation", "seconds", "milliseconds")
        ]
        print(f"| {variant} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
