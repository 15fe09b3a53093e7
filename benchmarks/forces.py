r"""Energies and forces after equally long trainings.

Every architecture has its defaults and trains for as many epochs as fit into the time,
at least one, counted in short trainings beforehand. Errors are those of the exported
models on the test structures, the time of a step is the median of ASE's calculator on
them. The sets of molecules are made by ``molecules.py``; any other file of structures
with energies and forces in FOLDER can be named, too. Needs ``pip install
"metatrain[space,mace]" tblite``; what is not installed is left out.

::

    OMP_NUM_THREADS=1 python benchmarks/forces.py FOLDER   # prints a table
    OMP_NUM_THREADS=1 python benchmarks/forces.py FOLDER --molecules g2 --seconds 600
    OMP_NUM_THREADS=1 python benchmarks/forces.py FOLDER --molecules crystal \
        --training 72 --test 20        # of crystal.xyz

With ``--save results.json`` runs are kept and not repeated, as in ``accuracy.py``.
"""

import argparse
import tempfile
import time
import warnings
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Dict, List

import ase
import ase.io
import numpy as np
from accuracy import Record, once
from datasets import Split, split
from metatomic_ase import MetatomicCalculator
from metatrain.utils.architectures import import_architecture
from molecules import MOLECULES
from training import TARGETS, architecture_of, train


ARCHITECTURES: Dict[str, Dict[str, Any]] = {
    "scalar_tensor": {"name": "experimental.scalar_tensor"},
    "scalar_tensor, tensor_reduced": {
        "name": "experimental.scalar_tensor",
        "model": {"species": {"type": "tensor_reduced"}},
    },
    "scalar_tensor, options/forces.yaml": architecture_of(
        Path(__file__).parent.parent / "options" / "forces.yaml"
    ),
    "soap_bpnn": {"name": "soap_bpnn"},
    "pet": {"name": "pet"},
    "space": {"name": "experimental.space"},
    "mace": {"name": "experimental.mace"},
}


def train_for(
    epochs: int, architecture: Dict[str, Any], data: Split, folder: Path
) -> float:
    """Train in a new folder, and return the seconds it took."""
    folder.mkdir()
    ase.io.write(folder / "train.xyz", data.training)
    ase.io.write(folder / "validation.xyz", data.validation)
    training = {**architecture.get("training", {}), "num_epochs": epochs}
    options = {**architecture, "training": {**training, "num_workers": 0}}
    start = time.perf_counter()
    train(options, TARGETS["energy and forces"], folder, output=folder / "model.pt")
    return time.perf_counter() - start


def evaluate(model: Path, frames: List[ase.Atoms]) -> Dict[str, float]:
    """RMSE in meV per atom and meV/Å, and the median of the milliseconds of a step."""
    calculator = MetatomicCalculator(
        model, extensions_directory=model.parent / "extensions"
    )
    energies, forces, milliseconds = [], [], []
    for frame in frames:
        atoms = frame.copy()
        atoms.calc = calculator
        start = time.perf_counter()
        difference = atoms.get_forces() - frame.get_forces()
        milliseconds.append(1e3 * (time.perf_counter() - start))
        forces.append(difference)
        difference = atoms.get_potential_energy() - frame.get_potential_energy()
        energies.append(difference / len(atoms))
    return {
        "energy": 1e3 * float(np.sqrt(np.mean(np.square(energies)))),
        "forces": 1e3 * float(np.sqrt(np.mean(np.square(np.concatenate(forces))))),
        "milliseconds": median(milliseconds),
    }


def run(settings: Record, data: Split) -> Record:
    """Train for the given time and test; an ImportError if that is not installed."""
    architecture = ARCHITECTURES[settings["architecture"]]
    import_architecture(architecture["name"])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        few = Split(data.training[:32], data.validation[:8], [])
        train_for(1, architecture, few, folder / "imports and compilation")
        epochs = 1
        seconds = train_for(1, architecture, data, folder / "1")
        if 3 * seconds < settings["budget"]:
            of_three = train_for(3, architecture, data, folder / "3")
            epochs = round(3 * settings["budget"] / of_three)
            seconds = train_for(epochs, architecture, data, folder / "all")
        model = folder / ("1" if epochs == 1 else "all") / "model.pt"
        errors = evaluate(model, data.test)
    return {**settings, "epochs": epochs, "seconds": seconds, **errors}


def main() -> None:
    """Train everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="with the sets of molecules.py")
    parser.add_argument("--seconds", type=float, default=240, help="of a training")
    parser.add_argument("--molecules", nargs="+", default=list(MOLECULES))
    parser.add_argument(
        "--training", type=int, default=900, help="structures; a tenth for validation"
    )
    parser.add_argument("--test", type=int, default=500, help="structures")
    parser.add_argument("--architectures", nargs="+", default=list(ARCHITECTURES))
    parser.add_argument("--save", type=Path, help="file with the results of all runs")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")

    print("| molecule | architecture | epochs | s | energy | forces | ms / step |")
    print("|---|---|---|---|---|---|---|")
    for molecule in arguments.molecules:
        frames = ase.io.read(arguments.folder / f"{molecule}.xyz", ":")
        data = split(frames, arguments.training, arguments.test, seed=1)
        for name in arguments.architectures:
            settings = {
                "molecule": molecule,
                "size": arguments.training,
                "test": arguments.test,
                "architecture": name,
                "budget": arguments.seconds,
            }
            try:
                result = once(settings, arguments.save, partial(run, settings, data))
            except ImportError:  # not installed
                continue
            print(
                f"| {molecule} | `{name}` | {result['epochs']} "
                f"| {result['seconds']:.0f} | {result['energy']:.2f} "
                f"| {result['forces']:.1f} | {result['milliseconds']:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
