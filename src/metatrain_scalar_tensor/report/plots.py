"""The pictures: convergence, parity and learning curve."""

import csv
import math
from collections import defaultdict
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from .errors import Errors
from .evaluation import Evaluation


matplotlib.use("Agg")

PANEL = 3.6  # inches
MAX_COLUMNS = 4


def _panels(number: int) -> Tuple[Figure, List[Axes]]:
    """A figure with a number of panels, and no empty ones."""
    lines = math.ceil(number / MAX_COLUMNS)
    columns = math.ceil(number / lines)
    figure = Figure((PANEL * columns, PANEL * lines), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False).flatten()
    for unused in panels[number:]:
        unused.remove()
    return figure, list(panels[:number])


def _with_unit(name: str, unit: str) -> str:
    return f"{name} ({unit})" if unit else name


def _plain_numbers(panel: Axes) -> None:
    """Numbers without powers of ten on a logarithmic axis, and not too many."""
    decades = np.ptp(np.log10(panel.get_ylim()))
    digits = (1, 2, 3, 5) if decades < 1.5 else (1,)
    panel.yaxis.set_major_locator(LogLocator(subs=digits))
    panel.yaxis.set_major_formatter("{x:g}")
    panel.yaxis.set_minor_formatter(NullFormatter())


def plot_training(history: Path, best_epoch: Optional[int], output: Path) -> None:
    """Loss and errors of training and validation against the epoch.

    :param history: ``train.csv``.
    :param best_epoch: the epoch to mark; ``None`` for none.
    :param output: the picture.
    """
    with history.open(newline="") as file:
        names, units, *lines = list(csv.reader(file))
    columns = dict(zip(names, np.array(lines, dtype=float).T))
    units_of = dict(zip(names, units))
    metrics = [name[len("training ") :] for name in names if name.startswith("train")]

    figure, panels = _panels(len(metrics))
    for panel, metric in zip(panels, metrics):
        for kind, color in (("training", "C0"), ("validation", "C1")):
            values = columns.get(f"{kind} {metric}")
            if values is not None:
                style = "o" if len(values) == 1 else "-"
                panel.plot(
                    columns["Epoch"], values, style, color=color, label=kind, lw=1.3
                )
        if best_epoch is not None:
            panel.axvline(
                best_epoch, color="0.5", ls=":", label=f"best epoch, {best_epoch}"
            )
        panel.set(xlabel="epoch", ylabel=units_of[f"training {metric}"], yscale="log")
        panel.set_title(metric, fontsize="medium")
        _plain_numbers(panel)
    panels[0].legend()
    figure.savefig(output, dpi=150)


def plot_parity(
    evaluation: Evaluation, table: Dict[str, Errors], title: str, output: Path
) -> None:
    """Predictions against references, a panel for every quantity.

    :param evaluation: predictions and references.
    :param table: the errors of the quantities.
    :param title: what the structures are.
    :param output: the picture.
    """
    quantities = evaluation.quantities()
    figure, panels = _panels(len(quantities))
    for panel, (quantity, blocks) in zip(panels, quantities.items()):
        errors = table[quantity]
        reference = np.concatenate([block.reference.ravel() for block in blocks])
        predicted = np.concatenate([block.predicted.ravel() for block in blocks])
        known = np.isfinite(reference)
        reference, predicted = reference[known], predicted[known]
        if errors.count == 0:
            panel.set_title(f"{quantity}\nno references")
            continue
        few = errors.count < 2000
        panel.axline((reference[0], reference[0]), slope=1, color="0.6", lw=1, zorder=0)
        panel.plot(
            reference,
            predicted,
            ".",
            markersize=7 if few else 3,
            alpha=0.6 if few else 0.2,
            markeredgewidth=0,
            rasterized=True,
        )
        percent = "" if np.isnan(errors.percent) else f", {errors.percent:.3g} % of std"
        panel.set_title(
            f"{quantity}\nRMSE {_error(errors.rmse, errors.unit)}{percent}",
            fontsize="medium",
        )
        panel.set(xlabel=_with_unit("reference", errors.unit))
        panel.set(ylabel=_with_unit("predicted", errors.unit))
        limits = [
            min(panel.get_xlim()[0], panel.get_ylim()[0]),
            max(panel.get_xlim()[1], panel.get_ylim()[1]),
        ]
        panel.set(xlim=limits, ylim=limits, aspect="equal")
        panel.locator_params(nbins=5)
    figure.suptitle(title)
    figure.savefig(output, dpi=150)


def _error(value: float, unit: str) -> str:
    return f"{value:.3g} {unit}".strip()


def plot_learning_curve(
    results: Sequence[Tuple[int, Dict[str, Errors]]], title: str, output: Path
) -> None:
    """Errors against the number of training structures.

    Runs with equally many structures give a mean and its standard deviation.

    :param results: number of structures and errors of every run.
    :param title: what the errors are of.
    :param output: the picture.
    """
    percents: Dict[str, Dict[int, List[float]]] = defaultdict(lambda: defaultdict(list))
    for size, table in results:
        for quantity, errors in table.items():
            if np.isfinite(errors.percent):
                percents[quantity][size].append(errors.percent)

    figure = Figure((1.6 * PANEL, 1.3 * PANEL), layout="constrained")
    panel = figure.subplots()
    for quantity, of_size in percents.items():
        sizes = sorted(of_size)
        panel.errorbar(
            sizes,
            [np.mean(of_size[size]) for size in sizes],
            [np.std(of_size[size]) for size in sizes],
            fmt="o-",
            markersize=4,
            capsize=3,
            label=quantity,
        )
    panel.set(xscale="log", yscale="log", title=title)
    panel.set(xlabel="training structures", ylabel="RMSE (% of std. dev.)")
    sizes = sorted({size for size, _ in results})
    panel.set_xticks(sizes, [str(size) for size in sizes], minor=False)
    panel.set_xticks([], minor=True)
    _plain_numbers(panel)
    figure.legend(loc="outside right upper", fontsize="small")
    figure.savefig(output, dpi=150)
