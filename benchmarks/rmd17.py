r"""Energies and forces of the molecules of rMD17, trained on few structures.

The published training and test structures of split 1 (Christensen and von Lilienfeld,
`MLST 1, 045018 (2020) <https://doi.org/10.1088/2632-2153/abba6f>`_): the first ones are
for training and the next for validation. A seed initialises the model and orders the
batches. Mean absolute errors of 300 test structures in meV and meV/Å, as in the
literature, and the time of the whole training.

::

    OMP_NUM_THREADS=1 python benchmarks/rmd17.py FOLDER --epochs 0 100
    OMP_NUM_THREADS=1 python benchmarks/rmd17.py FOLDER --epochs 200 \
        --set architecture.training.solve_heads=false
    OMP_NUM_THREADS=1 python benchmarks/rmd17.py FOLDER --options options/forces.yaml

FOLDER has ``ethanol_train_01.xyz`` and so on. With ``--save results.json`` runs are
kept and not repeated, as in ``accuracy.py``.
"""

import argparse
import tempfile
import time
import warnings
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any, Dict, List

import ase
import ase.io
import numpy as np
from accuracy import Record, once
from metatomic_ase import MetatomicCalculator
from omegaconf import OmegaConf
from training import train


NUM_TEST = 300
TARGETS: Dict[str, Any] = {
    "energy": {
        "key": "E",
        "unit": "eV",
        "forces": {"key": "F"},
        "stress": False,
    }
}


def read(path: Path, number: int) -> List[ase.Atoms]:
    """The first structures of a file, as molecules without a cell."""
    frames = []
    for frame in ase.io.read(path, f":{number}"):
        atoms = ase.Atoms(frame.numbers, frame.positions)
        atoms.info["E"], atoms.arrays["F"] = frame.info["Energy"], frame.get_forces()
        frames.append(atoms)
    return frames


def run(settings: Record, folder: Path) -> Record:
    """Train and test."""
    size, molecule = settings["size"], settings["molecule"]
    num_validation = settings["validation"]
    frames = read(folder / f"{molecule}_train_01.xyz", size + num_validation)
    architecture: Any = {"name": "experimental.scalar_tensor", "training": {}}
    if settings["options"] is not None:
        options: Any = OmegaConf.to_container(OmegaConf.load(settings["options"]))
        architecture = options["architecture"]
    architecture["training"].update(num_epochs=settings["epochs"], batch_size=5)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        ase.io.write(path / "train.xyz", frames[:size])
        ase.io.write(path / "validation.xyz", frames[size:])
        start = time.perf_counter()
        model, changes = path / "model.pt", settings["changes"]
        train(architecture, TARGETS, path, model, settings["seed"], changes)
        seconds = time.perf_counter() - start
        calculator = MetatomicCalculator(model)
        energies, forces = [], []
        for frame in read(folder / f"{molecule}_test_01.xyz", NUM_TEST):
            atoms = frame.copy()
            atoms.calc = calculator
            energies.append(atoms.get_potential_energy() - frame.info["E"])
            forces.append(atoms.get_forces() - frame.arrays["F"])
    return {
        **settings,
        "energy": 1e3 * float(np.abs(energies).mean()),
        "forces": 1e3 * float(np.abs(forces).mean()),
        "seconds": seconds,
    }


def main() -> None:
    """Train everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="with the files of rMD17")
    parser.add_argument("--molecules", nargs="+", default=["ethanol"])
    parser.add_argument("--sizes", type=int, nargs="+", default=[50])
    parser.add_argument("--validation", type=int, default=20)
    parser.add_argument("--epochs", type=int, nargs="+", default=[0, 100])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--options", help="file with the architecture to train")
    parser.add_argument("--set", nargs="+", default=[], dest="changes")
    parser.add_argument("--save", type=Path, help="JSON file that keeps the runs")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")

    print("| molecule | structures | epochs | energy | forces | of the seeds | s |")
    print("|---|---|---|---|---|---|---|")
    for molecule in arguments.molecules:
        for size in arguments.sizes:
            for epochs in arguments.epochs:
                records = []
                for seed in arguments.seeds:
                    settings = {
                        "molecule": molecule,
                        "size": size,
                        "validation": arguments.validation,
                        "epochs": epochs,
                        "seed": seed,
                        "options": arguments.options,
                        "changes": sorted(arguments.changes),
                    }
                    new = partial(run, settings, arguments.folder)
                    records.append(once(settings, arguments.save, new))
                of_seeds = ", ".join(f"{r['forces']:.1f}" for r in records)
                print(
                    f"| {molecule} | {size} | {epochs} "
                    f"| {mean(r['energy'] for r in records):.1f} "
                    f"| {mean(r['forces'] for r in records):.1f} | {of_seeds} "
                    f"| {mean(r['seconds'] for r in records):.0f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
