"""Duration of a training epoch on small molecules, beside metatrain's ``soap_bpnn``.

500 distorted geometries of acetaldehyde (7 atoms), batches of 16, both architectures
with equal cutoff and numbers of angular and radial functions and otherwise their
defaults. The targets are random: only the time is looked at. It is taken between the
lines that ``mtt train`` logs every five epochs, in several runs in turn. Needs
``pip install "metatrain[soap-bpnn]"``.

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
from typing import Any, Dict, List, Sequence

import ase.build
import ase.io
import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator
from metatrain.cli.train import train_model
from omegaconf import OmegaConf
from water import ARCHITECTURES, SLOW, model_hypers


NUM_EPOCHS, LOG_INTERVAL = 21, 5

TARGETS: Dict[str, Dict[str, Any]] = {
    "dipole and polarizability": {
        "mtt::mu": {"key": "mu", "type": {"cartesian": {"rank": 1}}},
        "mtt::alpha": {"key": "alpha", "type": {"cartesian": {"rank": 2}}},
    },
    "energy and forces": {
        "energy": {"key": "energy", "unit": "eV", "forces": {"key": "forces"}}
    },
}
NAMES = [name for name in ARCHITECTURES if name not in SLOW]


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


def architecture_of(path: Path) -> Dict[str, Any]:
    """The section ``architecture`` of an options file."""
    options: Any = OmegaConf.to_container(OmegaConf.load(path))
    return options["architecture"]


class EpochTimes(logging.Handler):
    """Remembers when the lines of epochs were logged."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.times: List[float] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Look at one line."""
        if record.getMessage().startswith("Epoch:"):
            self.times.append(time.perf_counter())


def train(
    architecture: Dict[str, Any],
    targets: Dict[str, Any],
    folder: Path,
    output: Path,
    seed: int = 1,
    changes: Sequence[str] = (),
) -> None:
    """Run ``mtt train`` in this process, with ``train.xyz`` and ``validation.xyz``.

    :param architecture: this section of the options.
    :param targets: this section of the training set.
    :param folder: where the two files are.
    :param output: exported model to write; a checkpoint is written beside it.
    :param seed: of the model and the order of the structures.
    :param changes: of the options, ``key=value`` with dots in the keys.
    """
    training_set = {
        "systems": {"read_from": str(folder / "train.xyz"), "length_unit": "angstrom"},
        "targets": targets,
    }
    validation_set = OmegaConf.create(training_set)
    validation_set.systems.read_from = str(folder / "validation.xyz")
    options = OmegaConf.create(
        {
            "device": "cpu",
            "base_precision": 32,
            "seed": seed,
            "final_eval": False,
            "architecture": architecture,
            "training_set": training_set,
            "validation_set": validation_set,
        }
    )
    train_model(
        OmegaConf.merge(options, OmegaConf.from_dotlist(list(changes))),
        output=output,
        extensions=output.parent / "extensions",
        checkpoint_dir=output.parent,
    )


def durations(architecture: str, targets: str, folder: Path) -> List[float]:
    """Seconds per epoch in one run."""
    options: Dict[str, Any] = {
        "name": ARCHITECTURES[architecture]["name"],
        "model": model_hypers(architecture),
    }
    options["training"] = {
        "num_epochs": NUM_EPOCHS,
        "log_interval": LOG_INTERVAL,
        "batch_size": 16,
    }
    handler = EpochTimes()
    logging.root.setLevel(logging.INFO)
    logging.root.addHandler(handler)
    with tempfile.TemporaryDirectory() as name:
        train(options, TARGETS[targets], folder, output=Path(name) / "model.pt")
    logging.root.removeHandler(handler)
    return (np.diff(handler.times) / LOG_INTERVAL).tolist()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=2)
    rounds = parser.parse_args().rounds
    warnings.filterwarnings("ignore")
    print("| targets | architecture | s / epoch | ratio |")
    print("|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_molecules(folder / "train.xyz", 500)
        write_molecules(folder / "validation.xyz", 16)
        for targets in TARGETS:
            times: Dict[str, List[float]] = {name: [] for name in NAMES}
            for _ in range(rounds):
                for architecture, values in times.items():
                    values += durations(architecture, targets, folder)
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
