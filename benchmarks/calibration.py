"""Are the uncertainties of tensors as large as the errors?

Trains a model of a tensor of structures, wraps it in metatrain's ``llpr`` with the
factor from the validation set, and compares predicted standard deviations with the
errors of structures that neither has seen, in groups of equal size from certain to
uncertain.

::

    python calibration.py water.xyz alpha --train 100 --validation 30

The file of the example ``water-spectra`` is one that can be used.
"""

import argparse
import os
import tempfile
import warnings
from pathlib import Path
from typing import Dict, List, Tuple

import ase.io
import numpy as np
from metatomic.torch import ModelOutput
from metatomic_ase import MetatomicCalculator
from metatrain.cli.train import train_model
from omegaconf import OmegaConf


def train(frames: Dict[str, List[ase.Atoms]], key: str, epochs: int, seed: int) -> None:
    """Write ``llpr.pt`` of the model of ``mtt::y`` into the current folder."""
    rank = int(np.log(np.size(frames["training"][0].info[key])) / np.log(3) + 0.5)
    common = {"seed": seed}
    for part in ("training", "validation"):
        ase.io.write(f"{part}.xyz", frames[part], format="extxyz")
        common[f"{part}_set"] = {
            "systems": {"read_from": f"{part}.xyz", "length_unit": "angstrom"},
            "targets": {"mtt::y": {"key": key, "type": {"cartesian": {"rank": rank}}}},
        }
    common["test_set"] = 0.0
    training = {"num_epochs": epochs, "num_workers": 0, "log_interval": epochs}
    architecture = {"name": "experimental.scalar_tensor", "training": training}
    options = OmegaConf.create({**common, "architecture": architecture})
    train_model(options, output="model.pt")
    training = {"model_checkpoint": "model.ckpt", "batch_size": 8}
    architecture = {"name": "llpr", "training": training}
    options = OmegaConf.create({**common, "architecture": architecture})
    Path("llpr").mkdir()
    train_model(options, output="llpr.pt", checkpoint_dir="llpr")


def errors_and_uncertainties(
    frames: List[ase.Atoms], key: str
) -> Tuple[np.ndarray, np.ndarray]:
    """Errors ``(structures, components)`` and standard deviations ``(structures,)``."""
    calculator = MetatomicCalculator("llpr.pt")
    names = ["mtt::y", "mtt::aux::y_uncertainty"]
    request = {name: ModelOutput(sample_kind="system") for name in names}
    errors, uncertainties = [], []
    for frame in frames:
        outputs = calculator.run_model(frame, request)
        values, deviation = (outputs[n].block().values.numpy().ravel() for n in names)
        errors.append(values - np.ravel(frame.info[key]))
        uncertainties.append(deviation[0])
    return np.array(errors), np.array(uncertainties)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("structures", help="extxyz file")
    parser.add_argument("key", help="Cartesian tensor, atoms.info[key]")
    parser.add_argument("--train", type=int, default=100)
    parser.add_argument("--validation", type=int, default=30)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--groups", type=int, default=3)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")

    everything = ase.io.read(Path(arguments.structures).resolve(), ":")
    errors, uncertainties = [], []
    for seed in arguments.seeds:
        order = np.random.default_rng(seed).permutation(len(everything))
        shuffled = [everything[i] for i in order]
        ends = (arguments.train, arguments.train + arguments.validation)
        parts = {"training": shuffled[: ends[0]], "validation": shuffled[slice(*ends)]}
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            train(parts, arguments.key, arguments.epochs, seed)
            found = errors_and_uncertainties(shuffled[ends[1] :], arguments.key)
        errors.append(found[0])
        uncertainties.append(found[1])
    error, uncertainty = np.concatenate(errors), np.concatenate(uncertainties)

    print("| structures | mean uncertainty | RMSE | ratio |")
    print("|---|---|---|---|")
    for group in [
        *np.array_split(np.argsort(uncertainty), arguments.groups),
        np.arange(len(error)),
    ]:
        predicted = np.sqrt(np.mean(uncertainty[group] ** 2))
        rmse = np.sqrt(np.mean(error[group] ** 2))
        print(
            f"| {len(group)} | {predicted:.3g} | {rmse:.3g} | {rmse / predicted:.2f} |"
        )


if __name__ == "__main__":
    main()
