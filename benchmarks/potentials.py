r"""Energies and forces of molecules, trained on few structures.

The published training and test structures of ethanol and malonaldehyde (rMD17, split 1:
Christensen and von Lilienfeld, `MLST 1, 045018 (2020)
<https://doi.org/10.1088/2632-2153/abba6f>`_) and of 3BPA (Kovács et al., `JCTC 17, 7696
(2021) <https://doi.org/10.1021/acs.jctc.1c00647>`_: trained at 300 K, tested on
geometries between 300 and 1200 K). The first structures are for training and the next
for validation. A seed initialises the model and orders the batches. Mean absolute and
root mean square errors of the test structures, energies of molecules in meV and forces
in meV/Å, and the time of the whole training.

::

    OMP_NUM_THREADS=1 python benchmarks/potentials.py FOLDER --epochs 0 100
    OMP_NUM_THREADS=1 python benchmarks/potentials.py FOLDER \
        --options options/forces.yaml --epochs 150 --atoms 2
    OMP_NUM_THREADS=1 python benchmarks/potentials.py FOLDER \
        --options benchmarks/mace.yaml --epochs 10   # needs metatrain[mace]

FOLDER has ``rmd17/ethanol_train_01.xyz``, ``3bpa/train_300K.xyz`` and so on. With
``--save results.json`` runs are kept and not repeated, as in ``accuracy.py``.
"""

import argparse
import tempfile
import time
import warnings
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any, Dict, List, NamedTuple

import ase
import ase.io
import numpy as np
from accuracy import Record, once
from metatomic_ase import MetatomicCalculator
from training import architecture_of, train


class Files(NamedTuple):
    """Training and test set of a molecule."""

    training: str
    test: str
    num_test: int
    key: str
    """Of the energy"""
    atoms: Dict[str, float]
    """Energies of isolated atoms in eV, by the same method"""


# unrestricted PBE/def2-SVP of the ground states, by PySCF 2.14
RMD17_ATOMS = {"H": -13.568398, "C": -1027.263474, "O": -2038.532013}
MOLECULES = {
    name: Files(
        f"rmd17/{name}_train_01.xyz",
        f"rmd17/{name}_test_01.xyz",
        300,
        "Energy",
        RMD17_ATOMS,
    )
    for name in ("ethanol", "malonaldehyde")
}
MOLECULES["3bpa"] = Files(
    "3bpa/train_300K.xyz",
    "3bpa/train_mixedT.xyz",
    500,
    "energy",
    # of 3bpa/iso_atoms.xyz
    {"H": -13.587223, "C": -1029.489000, "N": -1484.981457, "O": -2041.981600},
)
TARGETS: Dict[str, Any] = {
    "energy": {
        "key": "E",
        "unit": "eV",
        "forces": {"key": "F"},
        "stress": False,
    }
}


def read(path: Path, number: int, key: str) -> List[ase.Atoms]:
    """The first structures of a file, as molecules without a cell."""
    frames = []
    for frame in ase.io.read(path, f":{number}"):
        atoms = ase.Atoms(frame.numbers, frame.positions)
        energy = frame.info[key] if key in frame.info else frame.get_potential_energy()
        atoms.info["E"], atoms.arrays["F"] = energy, frame.get_forces()
        frames.append(atoms)
    return frames


def isolated_atoms(energies: Dict[str, float]) -> List[ase.Atoms]:
    """Atoms without neighbors, as structures."""
    frames = []
    for symbol, energy in energies.items():
        atom = ase.Atoms(symbol)
        atom.info["E"], atom.arrays["F"] = energy, np.zeros((1, 3))
        frames.append(atom)
    return frames


def run(settings: Record, folder: Path) -> Record:
    """Train and test."""
    size, molecule = settings["size"], settings["molecule"]
    files = MOLECULES[molecule]
    number = size + settings["validation"]
    frames = read(folder / files.training, number, files.key)
    architecture: Any = {"name": "experimental.scalar_tensor", "training": {}}
    if settings["options"] is not None:
        architecture = architecture_of(Path(settings["options"]))
    architecture["training"].update(num_epochs=settings["epochs"], batch_size=5)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        atoms = settings["atoms"] * isolated_atoms(files.atoms)
        ase.io.write(path / "train.xyz", frames[:size] + atoms)
        ase.io.write(path / "validation.xyz", frames[size:])
        start = time.perf_counter()
        model, changes = path / "model.pt", settings["changes"]
        train(architecture, TARGETS, path, model, settings["seed"], changes)
        seconds = time.perf_counter() - start
        extensions = path / "extensions"
        calculator = MetatomicCalculator(model, extensions_directory=extensions)
        energies, forces, references = [], [], []
        for frame in read(folder / files.test, files.num_test, files.key):
            atoms = frame.copy()
            atoms.calc = calculator
            energies.append(atoms.get_potential_energy() - frame.info["E"])
            forces.append(atoms.get_forces() - frame.arrays["F"])
            references.append(frame.info["E"])
    thirds = np.array_split(np.array(forces)[np.argsort(references)], 3)
    return {
        **settings,
        "energy": mean_errors(np.array(energies)),
        "forces": mean_errors(np.array(forces)),
        "thirds": [mean_errors(third)[1] for third in thirds],
        "seconds": seconds,
    }


def mean_errors(differences: np.ndarray) -> List[float]:
    """Mean absolute and root mean square error, in thousandths."""
    mae, mse = np.abs(differences).mean(), np.square(differences).mean()
    return [1e3 * float(mae), 1e3 * float(mse**0.5)]


def main() -> None:
    """Train everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="with the files")
    parser.add_argument("--molecules", nargs="+", default=["ethanol"])
    parser.add_argument("--sizes", type=int, nargs="+", default=[50])
    parser.add_argument("--validation", type=int, default=20)
    parser.add_argument("--epochs", type=int, nargs="+", default=[0, 100])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument(
        "--atoms",
        type=int,
        default=0,
        metavar="N",
        help="add N copies of every isolated atom to the training set",
    )
    parser.add_argument("--options", help="file with the architecture to train")
    parser.add_argument("--set", nargs="+", default=[], dest="changes")
    parser.add_argument("--save", type=Path, help="JSON file that keeps the runs")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")

    print(
        "| molecule | structures | epochs | energy: MAE | RMSE | forces: MAE | RMSE "
        "| RMSE of thirds by energy | MAE of the seeds | s |"
    )
    print("|---" * 10 + "|")
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
                        "atoms": arguments.atoms,
                        "seed": seed,
                        "options": arguments.options,
                        "changes": sorted(arguments.changes),
                    }
                    new = partial(run, settings, arguments.folder)
                    records.append(once(settings, arguments.save, new))
                of_seeds = ", ".join(f"{r['forces'][0]:.1f}" for r in records)
                seconds = mean(r["seconds"] for r in records)
                thirds = zip(*(r["thirds"] for r in records), strict=True)
                of_thirds = ", ".join(f"{mean(third):.1f}" for third in thirds)
                cells = [
                    f"{mean(r[kind][which] for r in records):.1f}"
                    for kind in ("energy", "forces")
                    for which in (0, 1)
                ]
                print(
                    f"| {molecule} | {size} | {epochs} | {' | '.join(cells)} "
                    f"| {of_thirds} | {of_seeds} | {seconds:.0f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
