"""Time of a step of molecular dynamics: of ASE, of the model, and of other models.

Energy and forces of 9 atoms of ethanol, and of 81 and 648 of water, by exported models
with random weights. ``ASE`` is the time until ``get_forces`` returns after the atoms
have moved, ``model`` that of the exported module and its derivatives with a neighbor
list made beforehand, ``list`` that of the neighbor list in a step of ASE, from torch's
profiler; the rest is what ASE and metatomic do.
``nep`` is no model of metatomic: a compiled potential in float64 (``nep.py``). Medians
of one process, in turn. All have a cutoff of 5 Å but ``pet``, which has its defaults,
and ``mace`` has 64 channels as ``options/forces.yaml``. Needs ``pip install
"metatrain[soap-bpnn,mace]" calorine``; what is not installed is left out.

::

    OMP_NUM_THREADS=1 python benchmarks/dynamics.py      # prints a table
"""

import argparse
import tempfile
import warnings
from pathlib import Path
from typing import Dict, Optional

import ase
import ase.build
import numpy as np
import torch
from ase.calculators.calculator import Calculator
from metatomic_ase import MetatomicCalculator
from metatrain.utils.architectures import import_architecture
from metatrain.utils.data import DatasetInfo
from nep import random_potential
from training import architecture_of
from water import ARCHITECTURES, Step, energy, measure, model_hypers, prediction, water


FORCES = architecture_of(Path(__file__).parent.parent / "options" / "forces.yaml")
OURS = ["scalar_tensor", "options/forces.yaml"]
ARCHITECTURES["options/forces.yaml"] = {
    "name": "experimental.scalar_tensor",
    **FORCES["model"],
}
ARCHITECTURES["mace"] = {
    "name": "experimental.mace",
    "hidden_irreps": "64x0e + 64x1o + 64x2e",
}
STRUCTURES: Dict[str, ase.Atoms] = {
    "ethanol": ase.build.molecule("CH3CH2OH", vacuum=10.0),  # nep needs a cell
    "27 waters": water(3),
    "216 waters": water(6),
}


def calculator(what: str, frame: ase.Atoms, folder: Path) -> Calculator:
    """A model with random weights, in TorchScript where it is one of metatomic."""
    if what == "nep":
        return random_potential(frame, folder / "nep.txt")
    info = DatasetInfo("angstrom", sorted(set(frame.numbers.tolist())), energy())
    architecture = import_architecture(ARCHITECTURES[what]["name"])
    model = architecture.__model__(model_hypers(what), info)
    model.float().eval().export().save(f"{folder}/model.pt")
    return MetatomicCalculator(f"{folder}/model.pt")


def step_of_ase(what: str, frame: ase.Atoms) -> Optional[Step]:
    """A function that moves all atoms a little and computes the forces."""
    atoms = frame.copy()
    with tempfile.TemporaryDirectory() as folder:
        try:
            atoms.calc = calculator(what, frame, Path(folder))
        except ImportError:
            return None
        atoms.get_forces()  # some read their file only now
    rng = np.random.default_rng(0)

    def step() -> None:
        atoms.positions += 1e-4 * rng.normal(size=atoms.positions.shape)
        atoms.get_forces()

    return step


def time_of_list(step: Optional[Step], repetitions: int) -> Optional[float]:
    """Mean time in ms for the neighbor list; ``None`` without metatomic."""
    if step is None:
        return None
    with torch.profiler.profile() as profiler:
        for _ in range(repetitions):
            step()
    for event in profiler.key_averages():
        if event.key == "MetatomicCalculator::compute_neighbors":
            return 1e-3 * event.cpu_time_total / event.count
    return None


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [*OURS, "soap_bpnn", "mace", "pet", "nep"]
    parser.add_argument("--architectures", nargs="+", default=names)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--structures", nargs="+", default=list(STRUCTURES))
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    print(f"{torch.get_num_threads()} threads, float32\n")
    print(
        "| structure | atoms | architecture | ASE, ms | model, ms | list, ms | ratio |"
    )
    print("|---|---|---|---|---|---|---|")
    for title in arguments.structures:
        frame = STRUCTURES[title]
        types = sorted(set(frame.numbers.tolist()))
        steps: Dict[str, Optional[Step]] = {}
        for name in arguments.architectures:
            steps[f"{name} ASE"] = step_of_ase(name, frame)
            if steps[f"{name} ASE"] is not None and name in ARCHITECTURES:
                steps[name] = prediction(name, energy(), frame, True, types)
        medians = measure(steps, arguments.rounds)
        totals = {
            name: medians[f"{name} ASE"]
            for name in arguments.architectures
            if f"{name} ASE" in medians
        }
        for name, total in totals.items():
            alone = f"{medians[name]:.1f}" if name in medians else ""
            of_list = time_of_list(steps[f"{name} ASE"], arguments.rounds)
            neighbors = "" if of_list is None else f"{of_list:.1f}"
            ratio = total / next(iter(totals.values()))
            print(
                f"| {title} | {len(frame)} | `{name}` | {total:.1f} | {alone} "
                f"| {neighbors} | {ratio:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
