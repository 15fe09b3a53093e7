r"""Test errors against the number of training structures, beside ``soap_bpnn``.

Both architectures with their defaults and equally many epochs, several seeds, in turn.
A seed divides the structures and initialises the model. Errors are in % of the standard
deviation of the test set. Needs ``pip install "metatrain[soap-bpnn]" matplotlib``.

::

    python benchmarks/accuracy.py                # QM7-X: a table and learning curves
    python benchmarks/accuracy.py --dataset water_monomer --data FOLDER
    python benchmarks/accuracy.py --dataset water_bulk --data FOLDER --sizes 200
    python benchmarks/accuracy.py --sizes 72 \
        --architectures experimental.scalar_tensor \
        --set architecture.model.tensor_basis.neighbors=null  # a change of the options

``water_monomer.xyz``, ``water_bulk.xyz`` and ``qm7b/molecules.xyz`` are not part of the
repository: FOLDER is where they lie. With ``--save results.json`` every run is kept as
soon as it ends, and not repeated: the same command continues an interrupted study, and
one that is complete gives table and plot at once.
"""

import argparse
import json
import tempfile
import time
import warnings
from functools import partial
from pathlib import Path
from statistics import mean, stdev
from typing import Any, Callable, Dict, List, Optional, Tuple

import ase
import ase.io
import numpy as np
import torch
from datasets import DATASETS, DataSet, Split, Target, read, split
from metatomic.torch import ModelOutput, systems_to_torch
from metatrain.utils.io import load_model
from metatrain.utils.neighbor_lists import (
    get_requested_neighbor_lists,
    get_system_with_neighbor_lists,
)
from training import train

from metatrain_scalar_tensor.report.errors import errors


PROJECT = Path(__file__).parent.parent
ARCHITECTURES = ["experimental.scalar_tensor", "soap_bpnn"]
BATCH_SIZE = 20  # of the evaluation
Record = Dict[str, Any]  # settings of a run, its errors and duration


def evaluate(
    model: torch.nn.Module, frames: List[ase.Atoms], targets: List[Target]
) -> Dict[str, Dict[str, float]]:
    """Errors of every target, in its unit and in % of the standard deviation."""
    lists = get_requested_neighbor_lists(model)
    dtype = next(model.parameters()).dtype
    names = {target.label: f"mtt::{target.label}" for target in targets}
    outputs = {name: ModelOutput(sample_kind="system") for name in names.values()}
    predicted: Dict[str, List[np.ndarray]] = {label: [] for label in names}
    for start in range(0, len(frames), BATCH_SIZE):
        batch = frames[start : start + BATCH_SIZE]
        systems = [
            get_system_with_neighbor_lists(systems_to_torch(f, dtype=dtype), lists)
            for f in batch
        ]
        with torch.no_grad():
            predictions = model(systems, outputs)
        for label, name in names.items():
            values = predictions[name].block().values
            predicted[label].append(values.numpy().reshape(len(batch), -1))

    result = {}
    for label, batches in predicted.items():
        reference = np.array([frame.info[label] for frame in frames])
        of_target = errors([(np.concatenate(batches), reference)])
        result[label] = {"rmse": of_target.rmse, "percent": of_target.percent}
    return result


def run(settings: Record, targets: List[Target], data: Split) -> Record:
    """Train and test once.

    :param settings: architecture, seed, number of epochs and changes of the options.
    :param targets: what to learn.
    :param data: the structures.
    :return: the settings, with the seconds of the training and the test errors.
    """
    training = {
        "num_epochs": settings["epochs"],
        "num_workers": 0,
    }  # the data are small
    options = {f"mtt::{target.label}": target.options() for target in targets}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ase.io.write(folder / "train.xyz", data.training)
        ase.io.write(folder / "validation.xyz", data.validation)
        start = time.perf_counter()
        train(
            {"name": settings["architecture"], "training": training},
            options,
            folder,
            output=folder / "model.pt",
            seed=settings["seed"],
            changes=settings["changes"],
        )
        seconds = time.perf_counter() - start
        model = load_model(folder / "model.ckpt").eval()
    return {
        **settings,
        "seconds": seconds,
        "errors": evaluate(model, data.test, targets),
    }


def load(path: Optional[Path]) -> List[Record]:
    """Runs of earlier."""
    return json.loads(path.read_text()) if path is not None and path.exists() else []


def save(records: List[Record], path: Path) -> None:
    """Write all runs, without a moment at which the file is incomplete."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(json.dumps(records, indent=1) + "\n")
    temporary.replace(path)


def once(
    settings: Record, save_to: Optional[Path], run: Callable[[], Record]
) -> Record:
    """A run of earlier with these settings, or else a new one.

    :param settings: what tells runs apart.
    :param save_to: file with earlier runs, to which a new one is added.
    :param run: makes the record of a new run, which contains the settings.
    """
    known = load(save_to)
    for record in known:
        if settings.items() <= record.items():
            return record
    record = run()
    if save_to is not None:
        save([*known, record], save_to)
    return record


def study(
    all_settings: List[Record],
    dataset: DataSet,
    data_folder: Path,
    save_to: Optional[Path],
) -> List[Record]:
    """Do the runs that were not done before.

    :param all_settings: what to run.
    :param dataset: the data set of all of them.
    :param data_folder: where its files are.
    :param save_to: file with earlier runs, to which new ones are added.
    :return: the wanted runs, of earlier and new.
    """
    frames: List[ase.Atoms] = []

    def new_run(settings: Record) -> Record:
        frames.extend([] if frames else read(dataset, data_folder))
        data = split(frames, settings["size"], dataset.num_test, settings["seed"])
        record = run(settings, dataset.targets, data)
        cells = [f"{k} {e['percent']:.2f} %" for k, e in record["errors"].items()]
        print(
            f"{settings['architecture']}, {settings['size']} structures, "
            f"seed {settings['seed']}: {', '.join(cells)}, {record['seconds']:.0f} s",
            flush=True,
        )
        return record

    return [once(s, save_to, partial(new_run, s)) for s in all_settings]


def error(records: List[Record], target: Target) -> Tuple[float, float]:
    """Mean and standard deviation in %, the latter zero of a single run."""
    values = [r["errors"][target.label]["percent"] for r in records]
    return mean(values), stdev(values) if len(values) > 1 else 0.0


def error_cells(records: List[Record], targets: List[Target]) -> List[str]:
    """Cells of a table with the errors of every target."""
    errors = [error(records, target) for target in targets]
    return [f"{value:.2f} ± {spread:.2f} %" for value, spread in errors]


def grouped(records: List[Record]) -> Dict[int, Dict[str, List[Record]]]:
    """The seeds of every size and architecture."""
    groups: Dict[int, Dict[str, List[Record]]] = {}
    for r in records:
        groups.setdefault(r["size"], {}).setdefault(r["architecture"], []).append(r)
    return dict(sorted(groups.items()))


def print_table(records: List[Record], targets: List[Target]) -> None:
    """Errors in %, and the duration relative to the first architecture."""
    titles = [target.title for target in targets]
    print("\n| structures | architecture |", " | ".join(titles), "| s | duration |")
    print("|---" * (len(titles) + 4) + "|")
    for size, group in grouped(records).items():
        durations = {k: mean(r["seconds"] for r in runs) for k, runs in group.items()}
        unit = next(iter(durations.values()))
        for name, runs in group.items():
            cells = error_cells(runs, targets)
            cells += [f"{durations[name]:.0f}", f"{durations[name] / unit:.2f}"]
            print(f"| {size} | `{name}` |", " | ".join(cells), "|")
    total = sum(r["seconds"] for r in records)
    print(f"\n{len(records)} runs, {total:.0f} s of training")


def plot_errors(
    targets: List[Target],
    draw: Callable[[Any, Target], None],
    x_label: str,
    x_ticks: List[int],
    legend_columns: int,
    path: Path,
) -> None:
    """Errors on logarithmic axes, a panel for every target.

    :param targets: the targets.
    :param draw: fills the axes of one of them.
    :param x_label: what the errors depend on.
    :param x_ticks: its values.
    :param legend_columns: columns of the legend above the panels.
    :param path: picture to write.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    figure, axes = pyplot.subplots(
        1,
        len(targets),
        figsize=(1 + 2.6 * len(targets), 3.4),
        squeeze=False,
        layout="constrained",
    )
    for axis, target in zip(axes[0], targets):
        draw(axis, target)
        axis.set(title=target.title, xscale="log", yscale="log")
        axis.set_xticks(x_ticks, [str(x) for x in x_ticks])
        axis.xaxis.set_minor_locator(NullLocator())
        axis.yaxis.set_major_locator(LogLocator(subs=[1, 2, 3, 5]))
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.yaxis.set_minor_locator(NullLocator())
        axis.spines[["top", "right"]].set_visible(False)
    handles = axes[0, 0].get_legend_handles_labels()
    figure.legend(
        *handles, loc="outside upper center", ncols=legend_columns, frameon=False
    )
    figure.supxlabel(x_label, fontsize=10)
    figure.supylabel("RMSE / % of the std. dev.", fontsize=10)
    figure.savefig(path, dpi=150)


def draw_line(axis: Any, points: List[Tuple[float, ...]], **style: Any) -> None:
    """A line through points ``(x, error, spread)``."""
    axis.errorbar(*zip(*points), fmt="o-", capsize=3, ms=4, **style)


def plot(records: List[Record], targets: List[Target], path: Path) -> None:
    """Learning curves."""
    groups = grouped(records)
    names = list(dict.fromkeys(r["architecture"] for r in records))

    def draw(axis: Any, target: Target) -> None:
        for name in names:
            points = [(n, *error(group[name], target)) for n, group in groups.items()]
            color = "C1" if "scalar_tensor" in name else "C0"
            draw_line(axis, points, color=color, label=name)

    plot_errors(targets, draw, "training structures", list(groups), len(names), path)


def main() -> None:
    """Train everything, print the table and draw the plot."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", choices=list(DATASETS), default="qm7x")
    parser.add_argument(
        "--data",
        type=Path,
        default=PROJECT / "data",
        help="folder with the files of the data set",
    )
    parser.add_argument("--sizes", type=int, nargs="+", help="training structures")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--architectures", nargs="+", default=ARCHITECTURES)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--set", nargs="+", default=[], dest="changes")
    parser.add_argument("--save", type=Path, help="JSON file that keeps the runs")
    parser.add_argument("--plot", type=Path, help="default: accuracy-DATASET.png")
    arguments = parser.parse_args()
    dataset = DATASETS[arguments.dataset]
    warnings.filterwarnings("ignore")
    settings = [
        {
            "dataset": arguments.dataset,
            "architecture": architecture,
            "size": size,
            "seed": seed,
            "epochs": arguments.epochs or dataset.epochs,
            "changes": sorted(arguments.changes),
        }
        for seed in arguments.seeds
        for size in arguments.sizes or dataset.sizes
        for architecture in arguments.architectures
    ]
    records = study(settings, dataset, arguments.data, arguments.save)
    print_table(records, dataset.targets)
    picture = arguments.plot or Path(f"accuracy-{arguments.dataset}.png")
    plot(records, dataset.targets, picture)


if __name__ == "__main__":
    main()
