"""Training on data that are larger than memory: time and memory per structure.

Distorted geometries of acetaldehyde with random dipoles in a ``DiskDataset`` of
metatrain, from 1000 structures to as many as wanted, each trained on in a process of
its own: two epochs in batches of 16, and heads solved before. With ``cache_memory: 0``
every structure is read and prepared again in each pass; the last row is that of the
smallest set in memory, which has no loader.

::

    OMP_NUM_THREADS=1 python benchmarks/disk.py          # prints a table
"""

import argparse
import json
import logging
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any, Dict

import ase.build
import numpy as np
import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import systems_to_torch
from metatrain.cli.train import train_model
from metatrain.utils.data.writers import DiskDatasetWriter
from omegaconf import OmegaConf
from tqdm import tqdm
from training import EpochTimes


SIZES = [1_000, 10_000, 100_000]
TARGET = {"key": "mu", "type": {"cartesian": {"rank": 1}}, "sample_kind": "system"}


def write(path: Path, number: int) -> None:
    """Write a file of structures with random dipoles."""
    rng = np.random.default_rng(0)
    atoms = ase.build.molecule("CH3CHO")
    positions = atoms.positions.copy()
    writer = DiskDatasetWriter(path)
    for i in tqdm(range(number), desc=path.name, disable=None):
        atoms.positions = positions + 0.05 * rng.normal(size=positions.shape)
        block = TensorBlock(
            torch.tensor(rng.normal(size=(1, 3, 1))),
            Labels(["system"], torch.tensor([[i]])),
            [Labels(["xyz"], torch.arange(3).reshape(-1, 1))],
            Labels(["mu"], torch.tensor([[0]])),
        )
        mu = TensorMap(Labels(["_"], torch.tensor([[0]])), [block])
        writer.write([systems_to_torch(atoms, dtype=torch.float64)], {"mu": mu})
    writer.finish()


def one(path: Path, memory: float, workers: int) -> Dict[str, float]:
    """Train in this process."""
    training = {"num_epochs": 2, "log_interval": 1, "batch_size": 16}
    training_set: Dict[str, Any] = {
        "systems": {"read_from": str(path), "length_unit": "angstrom"},
        "targets": {"mtt::mu": TARGET},
    }
    options = OmegaConf.create(
        {
            "device": "cpu",
            "base_precision": 32,
            "seed": 1,
            "final_eval": False,
            "architecture": {
                "name": "experimental.scalar_tensor",
                "training": {
                    **training,
                    "cache_memory": memory,
                    "num_workers": workers,
                },
            },
            "training_set": training_set,
            "validation_set": 0.02,
            "test_set": 0.0,
        }
    )
    epochs = EpochTimes()
    logging.root.setLevel(logging.INFO)
    logging.root.addHandler(epochs)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        train_model(options, folder / "model.pt", folder / "extensions", folder)
    seconds = time.perf_counter() - start
    peaks = [
        resource.getrusage(who).ru_maxrss / 1024
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    ]
    [epoch] = np.diff(epochs.times)
    return {"epoch": epoch, "all": seconds, "MB": peaks[0], "MB of loader": peaks[1]}


def main() -> None:
    """Measure everything and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument(
        "--folder", type=Path, help="where to write, and to keep, files"
    )
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    if arguments.one:
        path, memory, workers = arguments.one
        print(json.dumps(one(Path(path), float(memory), int(workers))))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        print("| structures | data | ms / structure | s, all | MB | MB of loader |")
        print("|---|---|---|---|---|---|")
        runs = [(number, 0.0, 1) for number in arguments.sizes]
        runs.append((arguments.sizes[0], 4.0, 0))
        for number, memory, workers in runs:
            path = folder / f"{number}.zip"
            if not path.exists():
                write(path, number)
            output = subprocess.run(
                [sys.executable, __file__, "--one", *map(str, (path, memory, workers))],
                capture_output=True,
                text=True,
            )
            if output.returncode != 0:
                raise SystemExit(output.stderr)
            r = json.loads(output.stdout.splitlines()[-1])
            print(
                f"| {number} | {'memory' if memory else 'disk'} "
                f"| {1e3 * r['epoch'] / number:.2f} | {r['all']:.0f} "
                f"| {r['MB']:.0f} | {r['MB of loader']:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
