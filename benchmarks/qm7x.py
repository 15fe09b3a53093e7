r"""Accuracy and training time on QM7-X, beside metatrain's ``soap_bpnn``.

Both architectures with their defaults, the options of ``options/qm7x.yaml`` otherwise,
several seeds, in turn. Needs ``pip install "metatrain[soap-bpnn]"``.

::

    python benchmarks/qm7x.py            # prints a table
    python benchmarks/qm7x.py --architectures experimental.scalar_tensor \
        --set architecture.model.tensor_basis.pairs=null    # a change of the options
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean, stdev
from typing import Dict, List

import ase.io
import numpy as np
import torch
from metatomic.torch import ModelOutput, systems_to_torch
from metatrain.cli.train import train_model
from metatrain.utils.io import load_model
from metatrain.utils.neighbor_lists import (
    get_requested_neighbor_lists,
    get_system_with_neighbor_lists,
)
from omegaconf import OmegaConf


PROJECT = Path(__file__).parent.parent
sys.path.insert(0, str(PROJECT / "scripts"))
from parity import rmse_and_percentage  # noqa: E402


ARCHITECTURES = ["experimental.scalar_tensor", "soap_bpnn"]
TARGETS = {"mtt::mu": "mu", "mtt::alpha": "alpha"}


def run(
    architecture: str, seed: int, folder: Path, changes: List[str]
) -> Dict[str, float]:
    """Train once, and return the seconds and the test errors in % of the deviation."""
    options = OmegaConf.load(PROJECT / "options" / "qm7x.yaml")
    options = OmegaConf.merge(options, OmegaConf.from_dotlist(changes))
    options.seed = seed
    options.architecture.name = architecture
    options.final_eval = False
    options.training_set.systems.read_from = str(PROJECT / "data" / "qm7x_train.xyz")
    folder.mkdir()
    start = time.perf_counter()
    train_model(
        options,
        output=folder / "model.pt",
        extensions=folder / "extensions",
        checkpoint_dir=folder,
    )
    results = {"seconds": time.perf_counter() - start}

    model = load_model(folder / "model.ckpt").eval()
    frames = ase.io.read(PROJECT / "data" / "qm7x_test.xyz", ":")
    lists = get_requested_neighbor_lists(model)
    systems = [
        get_system_with_neighbor_lists(systems_to_torch(f, dtype=torch.float32), lists)
        for f in frames
    ]
    outputs = {name: ModelOutput(sample_kind="system") for name in TARGETS}
    predictions = model(systems, outputs)
    for name, key in TARGETS.items():
        predicted = predictions[name].block().values.detach().numpy()
        reference = np.array([frame.info[key].reshape(-1) for frame in frames])
        predicted = predicted.reshape(len(frames), -1)
        results[name] = rmse_and_percentage(predicted, reference)[1]
    return results


def main() -> None:
    """Train everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--architectures", nargs="+", default=ARCHITECTURES)
    parser.add_argument("--set", nargs="+", default=[], dest="changes")
    arguments = parser.parse_args()
    names, seeds = arguments.architectures, arguments.seeds
    results: Dict[str, List[Dict[str, float]]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as folder:
        for seed in seeds:
            for name in names:
                path = Path(folder) / f"{name}-{seed}"
                results[name].append(run(name, seed, path, arguments.changes))

    print("\n| architecture | mu | alpha | duration |")
    print("|---|---|---|---|")
    unit = mean(r["seconds"] for r in results[names[0]])
    for name, runs in results.items():
        cells = []
        for target in TARGETS:
            errors = [r[target] for r in runs]
            spread = stdev(errors) if len(errors) > 1 else 0.0
            cells.append(f"{mean(errors):.1f} ± {spread:.1f} %")
        seconds = mean(r["seconds"] for r in runs) / unit
        print(f"| `{name}` | {cells[0]} | {cells[1]} | {seconds:.2f} |")


if __name__ == "__main__":
    main()
