"""Test errors of tensor-reduced models against their number of channels.

``species: {type: tensor_reduced}`` with 4 to 64 channels and invariants up to the
correlation orders 2, 3 and 4, beside ``orthogonal``; data sets, splits and ``--save``
as in ``accuracy.py``. Needs ``pip install matplotlib``.

::

    python benchmarks/convergence.py         # QM7-X: a table and a plot
    python benchmarks/convergence.py --dataset water_monomer --data FOLDER
"""

import argparse
import warnings
from pathlib import Path
from typing import Any, Dict, List

from accuracy import (
    PROJECT,
    Record,
    draw_line,
    error,
    error_cells,
    plot_errors,
    study,
)
from datasets import DATASETS, Target


CHANNELS = [4, 8, 16, 32, 64]
ORDERS = [2, 3, 4]
SPECIES = "architecture.model.species"


def changes(order: int, num_channels: int) -> List[str]:
    """Options of a tensor-reduced model."""
    return sorted(
        [
            f"{SPECIES}.type=tensor_reduced",
            f"{SPECIES}.correlation_order={order}",
            f"{SPECIES}.num_channels={num_channels}",
        ]
    )


def plot(
    reduced: Dict[int, Dict[int, List[Record]]],
    orthogonal: List[Record],
    targets: List[Target],
    path: Path,
) -> None:
    """Errors against channels, a line for every order."""

    def draw(axis: Any, target: Target) -> None:
        for order, runs in reduced.items():
            points = [(k, *error(records, target)) for k, records in runs.items()]
            draw_line(axis, points, label=f"tensor-reduced, ν ≤ {order}")
        value, spread = error(orthogonal, target)
        axis.axhline(value, color="black", lw=1, label="orthogonal")
        axis.axhspan(value - spread, value + spread, color="black", alpha=0.1, lw=0)

    plot_errors(targets, draw, "channels", CHANNELS, 2, path)


def main() -> None:
    """Train everything, print the table and draw the plot."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", choices=list(DATASETS), default="qm7x")
    parser.add_argument("--data", type=Path, default=PROJECT / "data")
    parser.add_argument("--size", type=int, help="training structures")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--save", type=Path, help="JSON file that keeps the runs")
    parser.add_argument("--plot", type=Path, help="default: convergence-DATASET.png")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    dataset = DATASETS[arguments.dataset]

    def runs(changes_of_options: List[str]) -> List[Record]:
        settings = [
            {
                "dataset": arguments.dataset,
                "architecture": "experimental.scalar_tensor",
                "size": arguments.size or dataset.sizes[-1],
                "seed": seed,
                "epochs": arguments.epochs or dataset.epochs,
                "changes": changes_of_options,
            }
            for seed in arguments.seeds
        ]
        return study(settings, dataset, arguments.data, arguments.save)

    orthogonal = runs([])
    reduced = {
        order: {k: runs(changes(order, k)) for k in CHANNELS} for order in ORDERS
    }
    titles = " | ".join(target.title for target in dataset.targets)
    print(f"\n| ν | channels | {titles} |")
    print("|---" * (len(dataset.targets) + 2) + "|")
    print("| orthogonal | |", " | ".join(error_cells(orthogonal, dataset.targets)), "|")
    for order, of_order in reduced.items():
        for k, records in of_order.items():
            print(
                f"| {order} | {k} |",
                " | ".join(error_cells(records, dataset.targets)),
                "|",
            )
    picture = arguments.plot or Path(f"convergence-{arguments.dataset}.png")
    plot(reduced, orthogonal, dataset.targets, picture)


if __name__ == "__main__":
    main()
