"""Duration of a training epoch on small molecules, beside metatrain's ``soap_bpnn``.

500 distorted geometries of acetaldehyde (7 atoms), batches of 16, both architectures
with equal cutoff and numbers of angular and radial functions and otherwise their
defaults. The targets are random: only the time is looked at. An epoch is the difference
between a long and a short run of ``mtt train``, divided by the number of epochs between
them, several times in turn. Needs ``pip install "metatrain[soap-bpnn]"``.

::

    python benchmarks/training.py        # prints a table of medians
"""

import argparse
import logging
import statistics
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any, Dict, List

import ase.build
import ase.io
import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator
from metatrain.cli.train import train_model
from metatrain.utils.architectures import get_default_hypers
from omegaconf import OmegaConf
from water import CUTOFF, MAX_ANGULAR, NUM_RADIAL


SHORT, LONG = 1, 11  # epochs

TARGETS: Dict[str, Dict[str, Any]] = {
    "dipole and polarizability": {
        "mtt::mu": {"key": "mu", "type": {"cartesian": {"rank": 1}}},
        "mtt::alpha": {"key": "alpha", "type": {"cartesian": {"rank": 2}}},
    },
    "energy and forces": {
        "energy": {"key": "energy", "unit": "eV", "forces": {"key": "forces"}}
    },
}
ARCHITECTURES: Dict[str, Dict[str, Any]] = {
    "scalar_tensor": {"name": "experimental.scalar_tensor"},
    "soap_bpnn": {"name": "soap_bpnn", "model": {"legacy": True}},
    "soap_bpnn, legacy: false": {"name": "soap_bpnn", "model": {"legacy": False}},
}


def write_molecules(path: Path, num_structures: int) -> None:
    """Distorted geometries with random targets."""
    rng = np.random.default_rng(0)
    frames = []
    for _ in range(num_structures):
        atoms = ase.build.molecule("CH3CHO")
        atoms.positions += 0.05 * rng.normal(size=atoms.positions.shape)
        atoms.info["mu"] = rng.normal(size=3)
        atoms.info["alpha"] = rng.normal(size=(3, 3)).reshape(-1)
        atoms.calc = SinglePointCalculator(
            atoms, energy=rng.normal(), forces=rng.normal(size=(len(atoms), 3))
        )
        frames.append(atoms)
    ase.io.write(path, frames)


def duration(architecture: str, targets: str, num_epochs: int, folder: Path) -> float:
    """Seconds of one run."""
    options = {**ARCHITECTURES[architecture]}
    hypers = get_default_hypers(options["name"])["model"]
    if options["name"] == "soap_bpnn":
        hypers["soap"]["cutoff"]["radius"] = CUTOFF
        hypers["soap"]["max_angular"] = MAX_ANGULAR
        hypers["soap"]["max_radial"] = NUM_RADIAL - 1
    else:
        hypers["expansion"]["cutoff"]["radius"] = CUTOFF
        hypers["expansion"]["basis"]["max_angular"] = MAX_ANGULAR
        hypers["expansion"]["basis"]["radial"]["max_radial"] = NUM_RADIAL - 1
    options["model"] = {**hypers, **options.get("model", {})}
    options["training"] = {"num_epochs": num_epochs, "batch_size": 16}
    data = {
        "systems": {"read_from": str(folder / "train.xyz"), "length_unit": "angstrom"},
        "targets": TARGETS[targets],
    }
    validation = OmegaConf.create(data)
    validation.systems.read_from = str(folder / "validation.xyz")
    configuration = OmegaConf.create(
        {
            "device": "cpu",
            "base_precision": 32,
            "seed": 1,
            "final_eval": False,
            "architecture": options,
            "training_set": data,
            "validation_set": validation,
        }
    )
    with tempfile.TemporaryDirectory() as name:
        outputs = Path(name)
        start = time.perf_counter()
        train_model(configuration, output=outputs / "model.pt", checkpoint_dir=outputs)
        return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=3)
    repetitions = parser.parse_args().repetitions
    logging.disable(logging.WARNING)
    warnings.filterwarnings("ignore")
    print("| targets | architecture | s / epoch | ratio |")
    print("|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_molecules(folder / "train.xyz", 500)
        write_molecules(folder / "validation.xyz", 16)
        for targets in TARGETS:
            times: Dict[str, List[float]] = {name: [] for name in ARCHITECTURES}
            for _ in range(repetitions):
                for architecture, values in times.items():
                    short = duration(architecture, targets, SHORT, folder)
                    long = duration(architecture, targets, LONG, folder)
                    values.append((long - short) / (LONG - SHORT))
            medians = {
                name: statistics.median(values) for name, values in times.items()
            }
            for name, median in medians.items():
                ratio = median / medians["scalar_tensor"]
                print(
                    f"| {targets} | {name} | {median:.2f} | {ratio:.1f} |", flush=True
                )


if __name__ == "__main__":
    main()
