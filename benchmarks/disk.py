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
import tempfile
import time
import warnings
from pathlib import Path
from typing import Dict

import ase.build
import numpy as np
import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import systems_to_torch
from metatrain.utils.data.writers import DiskDatasetWriter
from own_process import in_own_process
from tqdm import tqdm
from training import EpochTimes, train


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


def one(folder: Path, number: int, memory: float, workers: int) -> Dict[str, float]:
    """Train in this process."""
    architecture = {
        "name": "experimental.scalar_tensor",
        "training": {
            "num_epochs": 2,
            "log_interval": 1,
            "batch_size": 16,
            "cache_memory": memory,
            "num_workers": workers,
        },
    }
    changes = [
        f"{kind}_set.systems.read_from={folder / f'{kind}-{number}.zip'}"
        for kind in ("training", "validation")
    ]
    epochs = EpochTimes()
    logging.root.setLevel(logging.INFO)
    logging.root.addHandler(epochs)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        output = Path(name) / "model.pt"
        train(architecture, {"mtt::mu": TARGET}, folder, output, changes=changes)
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
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    if arguments.one:
        name, number, memory, workers = arguments.one
        print(json.dumps(one(Path(name), int(number), float(memory), int(workers))))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        print("| structures | data | ms / structure | s, all | MB | MB of loader |")
        print("|---|---|---|---|---|---|")
        runs = [(number, 0.0, 1) for number in arguments.sizes]
        runs.append((arguments.sizes[0], 4.0, 0))
        for number, memory, workers in runs:
            for kind, size in (("training", number), ("validation", number // 50)):
                path = folder / f"{kind}-{number}.zip"
                if not path.exists():
                    write(path, size)
            r = in_own_process(__file__, folder, number, memory, workers)
            of_loader = f"{r['MB of loader']:.0f}" if workers > 0 else ""
            print(
                f"| {number} | {'memory' if memory else 'disk'} "
                f"| {1e3 * r['epoch'] / number:.2f} | {r['all']:.0f} "
                f"| {r['MB']:.0f} | {of_loader} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
