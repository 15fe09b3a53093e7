"""Time of a predicted Fock matrix, beside an iteration of PySCF.

Molecules, and periodic boxes of water, for which only the prediction is timed. The
model is one of ``examples/hamiltonian`` for H, C, N and O with def2-SVP. All is
processor time, medians; neighbor list and matrices included. Needs ``pip install
".[hamiltonian]"``.

::

    OMP_NUM_THREADS=1 python benchmarks/fock_cost.py model.pt
"""

import argparse
import sys
import time
import warnings
from functools import partial
from pathlib import Path
from statistics import median
from typing import Callable, List

import ase
import ase.build
import numpy as np
import torch
from metatomic.torch import System, load_atomistic_model, systems_to_torch
from pyscf import dft, gto, lib
from water import water


sys.path.insert(0, str(Path(__file__).parent.parent / "examples" / "hamiltonian"))
from evaluate import OFFSITE, ONSITE, predict  # noqa: E402

from metatrain_scalar_tensor.hamiltonian import to_matrices  # noqa: E402


def alkane(num_carbons: int) -> ase.Atoms:
    """A zigzag chain: all bonds of carbon are 1.53 Å and all of hydrogen 1.09 Å."""
    half = np.arccos(-1.0 / 3.0) / 2.0
    step, rise = 1.53 * np.sin(half), 1.53 * np.cos(half)
    out, up = 1.09 * np.sin(half), 1.09 * np.cos(half)
    atoms = ase.Atoms()
    for k in range(num_carbons):
        sign = (-1) ** k
        carbon = np.array([k * step, 0.0, 0.5 * rise * sign])
        hydrogens = [carbon + [0.0, side * out, up * sign] for side in (-1.0, 1.0)]
        atoms += ase.Atoms("CH2", [carbon, *hydrogens])
    for k, side in ((0, -1.0), (num_carbons - 1, 1.0)):  # where the next carbon is not
        bond = np.array([side * step, 0.0, -rise * (-1) ** k])
        atoms += ase.Atoms("H", [atoms.positions[3 * k] + 1.09 / 1.53 * bond])
    return atoms


def processor_time(run: Callable[[], object], repetitions: int = 7) -> float:
    """In ms; the first three calls are not counted, in which TorchScript optimises."""
    times: List[float] = []
    for _ in range(repetitions + 3):
        start = time.process_time()
        run()
        times.append(1e3 * (time.process_time() - start))
    return median(times[3:])


def prediction(model: torch.nn.Module, system: System, is_molecule: bool) -> None:
    """Predict the blocks and, for molecules, put the matrix together."""
    values = predict(model, system)
    if is_molecule:
        to_matrices(values[ONSITE], values[OFFSITE], system.types.tolist())


def scf_iteration(atoms: ase.Atoms) -> float:
    """An iteration of PBE/def2-SVP, in ms."""
    molecule = gto.M(
        atom=list(zip(atoms.get_chemical_symbols(), atoms.positions.tolist())),
        basis="def2-svp",
        verbose=0,
    )
    calculation = dft.RKS(molecule, xc="pbe")
    ends: List[float] = []
    calculation.callback = lambda _: ends.append(time.process_time())
    calculation.max_cycle = 6
    calculation.kernel()
    return 1e3 * median(np.diff(ends))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="exported model")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    lib.num_threads(torch.get_num_threads())
    model = load_atomistic_model(arguments.model)
    print("| structure | atoms | prediction, ms | per atom | iteration of PySCF, ms |")
    print("|---|---|---|---|---|")
    structures = {
        "water": ase.build.molecule("H2O"),
        "ethanol": ase.build.molecule("CH3CH2OH"),
        "benzene": ase.build.molecule("C6H6"),
        "nonane": alkane(9),
        "water, 8 in a box": water(2),
        "water, 27 in a box": water(3),
        "water, 216 in a box": water(6),
    }
    for title, atoms in structures.items():
        system = systems_to_torch(atoms, dtype=torch.float64)
        is_molecule = not atoms.pbc.any()

        ours = processor_time(partial(prediction, model, system, is_molecule))
        theirs = f"{scf_iteration(atoms):.0f}" if is_molecule else ""
        per_atom = ours / len(atoms)
        print(
            f"| {title} | {len(atoms)} | {ours:.0f} | {per_atom:.1f} | {theirs} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
