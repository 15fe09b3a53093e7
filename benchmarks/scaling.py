"""Time and memory of energy and forces against the number of atoms.

Water of 81 to 20,577 atoms, float32, every size and architecture in a process of its
own: median time of a step, and what the steps add to the peak memory of the process.
Needs ``pip install "metatrain[soap-bpnn]"``.

::

    python benchmarks/scaling.py         # prints a table and the exponents
"""

import argparse
import json
import resource
from typing import Dict, Sequence

import ase
import numpy as np
from own_process import in_own_process
from water import energy, measure, prediction, water


SIDES = [3, 4, 6, 9, 13, 19]  # molecules along each edge of the box
NAMES = ["scalar_tensor", "soap_bpnn", "soap_bpnn, legacy: false"]


def measured(
    name: str, frame: ase.Atoms, atomic_types: Sequence[int] = (1, 8)
) -> Dict[str, float]:
    """Measure energy and forces in this process, which must be new."""
    step = prediction(name, energy(), frame, True, atomic_types)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    [ms] = measure({name: step}, rounds=1).values()
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "atoms": len(frame),
        "ms": ms,
        "MB": (after - before) / 1024,
    }


def main() -> None:
    """Measure everything and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        name, side = arguments.one
        print(json.dumps(measured(name, water(int(side)))))
        return
    print("| atoms | what | ms | µs / atom | kB / atom |")
    print("|---|---|---|---|---|")
    results: Dict[str, Dict[float, float]] = {name: {} for name in NAMES}
    for side in SIDES:
        for name in NAMES:
            try:
                r = in_own_process(__file__, name, side)
            except RuntimeError:
                print(f"| {3 * side**3} | {name} | failed | | |", flush=True)
                continue
            results[name][r["atoms"]] = r["ms"]
            print(
                f"| {r['atoms']} | {name} | {r['ms']:.1f} "
                f"| {1e3 * r['ms'] / r['atoms']:.1f} "
                f"| {1024 * r['MB'] / r['atoms']:.0f} |",
                flush=True,
            )
    for name, times in results.items():
        atoms = np.array(sorted(times))
        exponent = np.polyfit(np.log(atoms), np.log([times[n] for n in atoms]), 1)[0]
        print(f"{name}: time ∝ atoms^{exponent:.2f}")


if __name__ == "__main__":
    main()
