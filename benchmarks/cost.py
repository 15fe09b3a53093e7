r"""A model of what a step of dynamics costs: time and memory from atoms and options.

.. math::
    t_0 + N \, (a + b \, n + c \, K)

for :math:`N` atoms with :math:`n` neighbors and :math:`K` invariants each, for energy
and forces of water, in float32. The coefficients are fitted to boxes, cutoffs and
numbers of elements, one process each, with relative errors; the last rows are
predictions for others, which are not in the fit.

::

    OMP_NUM_THREADS=1 python benchmarks/cost.py      # prints a table and the numbers
"""

import argparse
import json
from typing import Dict, List, NamedTuple

import numpy as np
from ase.neighborlist import neighbor_list
from own_process import in_own_process
from scaling import measured
from scipy.optimize import nnls
from water import ARCHITECTURES, MAX_ANGULAR, NUM_RADIAL, water


class Case(NamedTuple):
    """What is evaluated."""

    side: int
    """Molecules along each edge of the box"""
    cutoff: float
    """In Å"""
    num_types: int


FITTED = [
    Case(side, cutoff, num_types)
    for side in (4, 6, 9)
    for cutoff, num_types in ((4.0, 2), (5.0, 2), (6.0, 2), (5.0, 4), (4.0, 6))
]
PREDICTED = [Case(13, 5.0, 2), Case(9, 5.5, 3), Case(6, 7.0, 2), Case(6, 4.5, 8)]


def one(case: Case) -> Dict[str, float]:
    """Measure in this process."""
    name = "of this cutoff"
    ARCHITECTURES[name] = {
        "name": "experimental.scalar_tensor",
        "expansion": {"cutoff": {"radius": case.cutoff}},
    }
    types = [1, 8, *range(9, 7 + case.num_types)]
    return measured(name, water(case.side), types)


def terms(case: Case) -> np.ndarray:
    """What the coefficients are multiplied with."""
    frame = water(case.side)
    n = len(neighbor_list("i", frame, case.cutoff)) / len(frame)
    q = NUM_RADIAL * case.num_types
    invariants = (MAX_ANGULAR + 1) * q * (q + 1) / 2
    return np.array([1.0, *(len(frame) * np.array([1.0, n, invariants]))])


def main() -> None:
    """Measure everything, fit, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--one", nargs=3, type=float, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        side, cutoff, num_types = arguments.one
        print(json.dumps(one(Case(int(side), cutoff, int(num_types)))))
        return
    rows: List[Dict[str, float]] = []
    for case in FITTED + PREDICTED:
        rows.append(in_own_process(__file__, *case))
    x = np.array([terms(case) for case in FITTED + PREDICTED])
    number = len(FITTED)
    models: Dict[str, np.ndarray] = {}
    for quantity in ("ms", "MB"):
        y = np.array([row[quantity] for row in rows])
        relative = x[:number] / y[:number, None]
        coefficients, _ = nnls(relative, np.ones(number))
        models[quantity] = x @ coefficients
        unit = {"ms": "µs", "MB": "kB"}[quantity]
        start, *per_atom = coefficients
        a, b, c = 1e3 * np.array(per_atom)
        print(
            f"{quantity}: {start:.1f} {quantity}, and per atom {a:.1f} {unit}, "
            f"{b:.3f} {unit} per neighbor and {c:.5f} {unit} per invariant"
        )
    print("\n| atoms | cutoff, Å | elements | ms | model | MB | model | |")
    print("|---|---|---|---|---|---|---|---|")
    for i, (case, row) in enumerate(zip(FITTED + PREDICTED, rows, strict=True)):
        print(
            f"| {3 * case.side**3} | {case.cutoff} | {case.num_types} "
            f"| {row['ms']:.1f} | {models['ms'][i]:.1f} "
            f"| {row['MB']:.0f} | {models['MB'][i]:.0f} "
            f"| {'fitted' if i < number else 'predicted'} |"
        )


if __name__ == "__main__":
    main()
