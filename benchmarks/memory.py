"""Memory of a process along molecular dynamics: it must not grow.

Langevin dynamics of a molecule with ASE, energy and forces in every step. Needs
``pip install psutil``.

::

    OMP_NUM_THREADS=1 python benchmarks/memory.py ethanol.pt   # 100,000 steps
"""

import argparse
import time

import ase.io
import ase.units
import numpy as np
import psutil
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import thermalize_momenta
from metatomic_ase import MetatomicCalculator


def resident() -> float:
    """Memory of this process that is in RAM, in MB."""
    return psutil.Process().memory_info().rss / 1e6


def main() -> None:
    """Print the memory every so many steps."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="exported model of the energy, .pt")
    parser.add_argument("--structure", default="examples/engines/ethanol.xyz")
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--stride", type=int, default=10_000, help="between lines")
    arguments = parser.parse_args()

    atoms = ase.io.read(arguments.structure)
    atoms.calc = MetatomicCalculator(arguments.model)
    rng = np.random.default_rng(0)
    thermalize_momenta(atoms, temperature_K=300, rng=rng)
    dynamics = Langevin(
        atoms,
        timestep=0.5 * ase.units.fs,
        temperature_K=300,
        friction=0.01 / ase.units.fs,
        fixcm=False,
        rng=rng,
    )
    print("    step  memory (MB)  time of a step (ms)")
    start = time.perf_counter()
    for _ in range(arguments.steps // arguments.stride):
        dynamics.run(arguments.stride)
        now = time.perf_counter()
        duration = 1000 * (now - start) / arguments.stride
        print(f"{dynamics.nsteps:8d}  {resident():11.1f}  {duration:19.2f}", flush=True)
        start = now


if __name__ == "__main__":
    main()
