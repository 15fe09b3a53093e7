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

from accuracy import PROJECT, Record, average, log_scales, study
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


def cells(records: List[Record], targets: List[Target]) -> List[str]:
    """Mean and spread over the seeds of every target, in %."""
    result = []
    for target in targets:
        error, spread = average([r["errors"][target.label]["percent"] for r in records])
        result.append(f"{error:.2f} ± {spread:.2f} %")
    return result


def plot(
    reduced: Dict[int, Dict[int, List[Record]]],
    orthogonal: List[Record],
    targets: List[Target],
    path: Path,
) -> None:
    """Errors against channels, a panel for every target, a line for every order."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(
        1,
        len(targets),
        figsize=(1 + 2.6 * len(targets), 3.4),
        squeeze=False,
        layout="constrained",
    )
    for axis, target in zip(axes[0], targets):

        def of_target(records: List[Record], label: str = target.label) -> Any:
            return average([r["errors"][label]["percent"] for r in records])

        for order, runs in reduced.items():
            points = [(k, *of_target(records)) for k, records in runs.items()]
            axis.errorbar(
                *zip(*points),
                fmt="o-",
                capsize=3,
                ms=4,
                label=f"tensor-reduced, ν ≤ {order}",
            )
        error, spread = of_target(orthogonal)
        axis.axhline(error, color="black", lw=1, label="orthogonal")
        axis.axhspan(error - spread, error + spread, color="black", alpha=0.1, lw=0)
        axis.set_title(target.title)
        log_scales(axis, CHANNELS)
    handles = axes[0, 0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper center", ncols=2, frameon=False)
    figure.supxlabel("channels", fontsize=10)
    figure.supylabel("RMSE / % of the std. dev.", fontsize=10)
    figure.savefig(path, dpi=150)


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
    print("| orthogonal | |", " | ".join(cells(orthogonal, dataset.targets)), "|")
    for order, of_order in reduced.items():
        for k, records in of_order.items():
            print(
                f"| {order} | {k} |", " | ".join(cells(records, dataset.targets)), "|"
            )
    picture = arguments.plot or Path(f"convergence-{arguments.dataset}.png")
    plot(reduced, orthogonal, dataset.targets, picture)


if __name__ == "__main__":
    main()
