"""Are the uncertainties as large as the errors?

Trains models with ensembles on the structures of ``accuracy.py``, and compares the
predicted standard deviations with the errors of structures that no model has seen: all
of them, and the fifths that are the most and the least certain.

::

    python benchmarks/calibration.py qm7x --epochs 150
    python benchmarks/calibration.py water_monomer --data FOLDER --size 100
    python benchmarks/calibration.py water_monomer --data FOLDER --llpr
"""

import argparse
import tempfile
import warnings
from pathlib import Path
from typing import Any, Dict, List, NamedTuple

import ase.io
import numpy as np
import torch
from datasets import DATASETS, Split, Target, read, split
from metatomic.torch import ModelOutput, systems_to_torch
from metatrain.utils.io import load_model
from metatrain.utils.neighbor_lists import (
    get_requested_neighbor_lists,
    get_system_with_neighbor_lists,
)
from training import train


PROJECT = Path(__file__).parent.parent


class Found(NamedTuple):
    """Errors and predicted standard deviations of one target."""

    errors: np.ndarray  # (structures, components)
    deviations: np.ndarray  # (structures,)


def _train(
    architecture: Dict[str, Any],
    targets: Dict[str, Any],
    data: Split,
    folder: Path,
    seed: int,
) -> Path:
    """Train in a new folder, and return the checkpoint."""
    folder.mkdir()
    ase.io.write(folder / "train.xyz", data.training)
    ase.io.write(folder / "validation.xyz", data.validation)
    train(architecture, targets, folder, output=folder / "model.pt", seed=seed)
    return folder / "model.ckpt"


def run(
    targets: List[Target], data: Split, seed: int, training: Dict[str, Any], llpr: bool
) -> Dict[str, Found]:
    """Train a model, and evaluate it on the test set.

    :param targets: what to learn.
    :param data: the structures.
    :param seed: of the model.
    :param training: hyperparameters of the training.
    :param llpr: whether the uncertainties are those of metatrain's ``llpr``.
    """
    options = {f"mtt::{target.label}": target.options() for target in targets}
    architecture = {"name": "experimental.scalar_tensor", "training": training}
    with tempfile.TemporaryDirectory() as name:
        path = _train(architecture, options, data, Path(name) / "model", seed)
        if llpr:
            of_llpr = {"model_checkpoint": str(path), "batch_size": 8}
            architecture = {"name": "llpr", "training": of_llpr}
            path = _train(architecture, options, data, Path(name) / "llpr", seed)
        model = load_model(path).eval()
    names = {
        t.label: (f"mtt::{t.label}", f"mtt::aux::{t.label}_uncertainty")
        for t in targets
    }
    outputs = {
        n: ModelOutput(sample_kind="system") for pair in names.values() for n in pair
    }
    lists = get_requested_neighbor_lists(model)
    dtype = next(model.parameters()).dtype
    systems = [
        get_system_with_neighbor_lists(systems_to_torch(frame, dtype=dtype), lists)
        for frame in data.test
    ]
    with torch.no_grad():
        results = [model([system], outputs) for system in systems]
    found = {}
    for label, pair in names.items():
        values, deviations = (
            np.array([result[n].block().values.flatten().numpy() for result in results])
            for n in pair
        )  # llpr repeats the deviation for every component
        reference = np.array([frame.info[label] for frame in data.test])
        found[label] = Found(values - reference.reshape(values.shape), deviations[:, 0])
    return found


def row(title: str, found: Found) -> str:
    """A row of the table."""
    errors, deviations = found
    of_structures = np.sqrt(np.mean(errors**2, axis=1))
    fifths = np.array_split(np.argsort(deviations), 5)
    certain, uncertain = (
        np.sqrt(np.mean(errors[fifth] ** 2)) for fifth in (fifths[0], fifths[-1])
    )
    cells = [
        f"{np.sqrt(np.mean(errors**2)):.2g}",
        f"{np.sqrt(np.mean(deviations**2)):.2g}",
        f"{np.sqrt(np.mean((errors / deviations[:, None]) ** 2)):.2f}",
        f"{uncertain / certain:.1f}",
        f"{np.corrcoef(np.log(of_structures), np.log(deviations))[0, 1]:.2f}",
    ]
    return f"| {title} | {' | '.join(cells)} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", choices=DATASETS)
    parser.add_argument("--data", type=Path, default=PROJECT / "data")
    parser.add_argument("--size", type=int, help="training structures")
    parser.add_argument("--epochs", type=int, default=0)
    parser.add_argument("--members", type=int, default=32)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--llpr", action="store_true", help="metatrain's, instead")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")

    dataset = DATASETS[arguments.dataset]
    frames = read(dataset, arguments.data)
    size = dataset.sizes[-1] if arguments.size is None else arguments.size
    training = {
        "num_epochs": arguments.epochs,
        "num_workers": 0,
        "num_ensemble_members": 0 if arguments.llpr else arguments.members,
    }
    runs = [
        run(
            dataset.targets,
            split(frames, size, dataset.num_test, seed),
            seed,
            training,
            arguments.llpr,
        )
        for seed in arguments.seeds
    ]
    print("| target | RMSE | uncertainty | RMS of the ratio | fifths | correlation |")
    print("|---|---|---|---|---|---|")
    for target in dataset.targets:
        of_target = [found[target.label] for found in runs]
        print(row(target.title, Found(*map(np.concatenate, zip(*of_target)))))


if __name__ == "__main__":
    main()
