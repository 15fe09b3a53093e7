"""The pictures: convergence, parity and learning curve."""

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
from .evaluation import Block, Evaluation
from .history import History


matplotlib.use("Agg")

PANEL = 3.6  # inches
MAX_COLUMNS = 4


def _panels(number: int) -> Tuple[Figure, List[Axes]]:
    """A figure with the given number of panels."""
    lines = math.ceil(number / MAX_COLUMNS)
    columns = math.ceil(number / lines)
    figure = Figure((PANEL * columns, PANEL * lines), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False).flatten()
    for unused in panels[number:]:
        unused.remove()
    return figure, list(panels[:number])


def _plain_numbers(panel: Axes) -> None:
    """Label a logarithmic axis sparsely, with numbers instead of powers of ten."""
    decades = np.ptp(np.log10(panel.get_ylim()))
    digits = (1, 2, 3, 5) if decades < 1.5 else (1,)
    panel.yaxis.set_major_locator(LogLocator(subs=digits))
    panel.yaxis.set_major_formatter("{x:g}")
    panel.yaxis.set_minor_formatter(NullFormatter())


def plot_training(history: History, best_epoch: Optional[int], output: Path) -> None:
    """Loss and errors of training and validation against the epoch.

    :param history: losses and errors of every epoch.
    :param best_epoch: the epoch to mark; ``None`` for none.
    :param output: the picture.
    """
    epochs = history.columns["Epoch"]
    style = "o" if len(epochs) == 1 else "-"
    trained = [name for name in history.columns if name.startswith("training ")]
    figure, panels = _panels(len(trained))
    for panel, name in zip(panels, trained):
        metric = name.removeprefix("training ")
        for kind, color in (("training", "C0"), ("validation", "C1")):
            values = history.columns.get(f"{kind} {metric}")
            if values is not None:
                panel.plot(epochs, values, style, color=color, label=kind, lw=1.3)
        if best_epoch is not None:
            label = f"best epoch, {best_epoch}"
            panel.axvline(best_epoch, color="0.5", ls=":", label=label)
        panel.set(xlabel="epoch", ylabel=history.units[name], yscale="log")
        panel.set_title(metric, fontsize="medium")
        _plain_numbers(panel)
    panels[0].legend()
    figure.savefig(output, dpi=150)


def plot_parity(
    evaluation: Evaluation, table: Dict[str, Errors], title: str, output: Path
) -> None:
    """Predictions against references, in one panel for every quantity.

    :param evaluation: predictions and references.
    :param table: the errors of the quantities.
    :param title: which structures these are.
    :param output: the picture.
    """
    quantities = evaluation.quantities()
    figure, panels = _panels(len(quantities))
    for panel, (quantity, blocks) in zip(panels, quantities.items()):
        if table[quantity].count == 0:
            panel.set_title(f"{quantity}\nno references")
        else:
            _parity(panel, quantity, blocks, table[quantity])
    figure.suptitle(title)
    figure.savefig(output, dpi=150)


def _parity(panel: Axes, quantity: str, blocks: List[Block], errors: Errors) -> None:
    """Predictions of one quantity against its references."""
    reference = np.concatenate([block.reference.ravel() for block in blocks])
    predicted = np.concatenate([block.predicted.ravel() for block in blocks])
    known = np.isfinite(reference)
    reference, predicted = reference[known], predicted[known]
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
    rmse = f"{errors.rmse:.3g} {errors.unit}".strip()
    percent = "" if np.isnan(errors.percent) else f"\n{errors.percent:.3g} % of std"
    panel.set_title(f"{quantity}\nRMSE {rmse}{percent}", fontsize="medium")
    unit = f" ({errors.unit})" if errors.unit else ""
    panel.set(xlabel=f"reference{unit}", ylabel=f"predicted{unit}")
    ends = [*panel.get_xlim(), *panel.get_ylim()]
    limits = (min(ends), max(ends))
    panel.set(xlim=limits, ylim=limits, aspect="equal")
    panel.locator_params(nbins=5)


def plot_learning_curve(
    results: Sequence[Tuple[int, Dict[str, Errors]]], title: str, output: Path
) -> None:
    """Errors against the number of training structures.

    Runs with equally many structures are shown as a mean with its standard deviation.

    :param results: number of structures and errors of every run.
    :param title: the data that the errors refer to.
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
        means = [np.mean(of_size[size]) for size in sizes]
        spreads = [np.std(of_size[size]) for size in sizes]
        panel.errorbar(
            sizes, means, spreads, fmt="o-", markersize=4, capsize=3, label=quantity
        )
    panel.set(xscale="log", yscale="log", title=title)
    panel.set(xlabel="training structures", ylabel="RMSE (% of std. dev.)")
    sizes = sorted({size for size, _ in results})
    panel.set_xticks(sizes, [str(size) for size in sizes], minor=False)
    panel.set_xticks([], minor=True)
    _plain_numbers(panel)
    figure.legend(loc="outside right upper", fontsize="small")
    figure.savefig(output, dpi=150)
