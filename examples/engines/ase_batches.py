"""Energies, forces and dipoles of many structures, several in one evaluation.

::

    python ase_batches.py structures.xyz --batch-size 32    # writes ase-batches.xyz
    python ase_batches.py structures.xyz --compare 1 4 16   # times per structure
"""

import argparse
import time
from typing import Dict, List, Union

import ase
import ase.io
import numpy as np
from metatomic.torch import ModelOutput
from metatomic_ase import MetatomicCalculator


def batches(frames: List[ase.Atoms], batch_size: int) -> List[List[ase.Atoms]]:
    """Consecutive structures, ``batch_size`` of them or what is left."""
    starts = range(0, len(frames), batch_size)
    return [frames[start : start + batch_size] for start in starts]


def energies_and_forces(
    calculator: MetatomicCalculator, frames: List[ase.Atoms], batch_size: int
) -> Dict[str, List[Union[float, np.ndarray]]]:
    """``energy`` (eV) and ``forces`` (eV/Å, ``(atoms, 3)``) of every structure."""
    results: Dict[str, List[Union[float, np.ndarray]]] = {"energy": [], "forces": []}
    for batch in batches(frames, batch_size):
        found = calculator.compute_energy(batch, compute_forces_and_stresses=True)
        for name, values in results.items():
            values.extend(found[name])
    return results


def tensors(
    calculator: MetatomicCalculator,
    frames: List[ase.Atoms],
    name: str,
    batch_size: int,
) -> np.ndarray:
    """A Cartesian output of structures, ``(structures, 3, ...)`` in its unit."""
    request = {name: ModelOutput(sample_kind="system")}
    values = [
        calculator.run_model(batch, request)[name].block().values[..., 0].numpy()
        for batch in batches(frames, batch_size)
    ]
    return np.concatenate(values)


def main() -> None:
    """Write the structures with their energies, forces and dipoles, or times."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("structures", help="file that ASE reads")
    parser.add_argument("--energy", default="ethanol.pt", help="model of the energy")
    parser.add_argument("--dipole", default="qm7x.pt", help="model of mtt::mu")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--compare", type=int, nargs="+", metavar="BATCH_SIZE")
    parser.add_argument("--output", default="ase-batches.xyz")
    arguments = parser.parse_args()

    frames = ase.io.read(arguments.structures, ":")
    for frame in frames:
        frame.calc = None
    energy = MetatomicCalculator(arguments.energy)
    for size in arguments.compare or []:
        for _ in range(3):  # TorchScript compiles what it runs
            energies_and_forces(energy, frames[:size], size)
        start = time.perf_counter()
        energies_and_forces(energy, frames, size)
        duration = 1000 * (time.perf_counter() - start) / len(frames)
        print(f"batches of {size:4d}: {duration:6.2f} ms per structure")
    if arguments.compare:
        return

    results = energies_and_forces(energy, frames, arguments.batch_size)
    dipole = MetatomicCalculator(arguments.dipole)
    dipoles = tensors(dipole, frames, "mtt::mu", arguments.batch_size)
    for i, frame in enumerate(frames):
        frame.info["energy"] = results["energy"][i]
        frame.arrays["forces"] = results["forces"][i]
        frame.info["mu"] = dipoles[i]
    ase.io.write(arguments.output, frames, format="extxyz")
    print(f"{len(frames)} structures written to {arguments.output}")


if __name__ == "__main__":
    main()
