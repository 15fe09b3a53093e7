"""Errors of predictions, and the table of them."""

from dataclasses import dataclass
from typing import Dict, List, Sequence, Tuple

import numpy as np

from .evaluation import Evaluation


@dataclass
class Errors:
    """Errors of the predictions of a quantity."""

    unit: str
    count: int
    """Number of values that have a reference."""
    mae: float
    """Mean absolute error, in ``unit``."""
    rmse: float
    """Root mean squared error, in ``unit``."""
    percent: float
    """The RMSE in % of the standard deviation of the reference; NaN if that is zero."""


def errors(pairs: Sequence[Tuple[np.ndarray, np.ndarray]], unit: str = "") -> Errors:
    """Errors over all values, without those that have no reference.

    :param pairs: predictions and references, ``(samples, ...)``, of one or more blocks.
    :param unit: unit of the values.
    :return: the errors. The standard deviation is that of the references around the
        mean of every component and property of a block.
    """
    differences, deviations = [], []
    for predicted, reference in pairs:
        known = np.isfinite(reference)
        count = known.sum(axis=0)
        mean = np.where(known, reference, 0.0).sum(axis=0) / np.maximum(count, 1)
        differences.append((predicted - reference)[known])
        deviations.append((reference - mean)[known])
    difference, deviation = np.concatenate(differences), np.concatenate(deviations)
    if difference.size == 0:
        return Errors(unit, 0, np.nan, np.nan, np.nan)
    rmse = float(np.sqrt(np.mean(difference**2)))
    std = float(np.sqrt(np.mean(deviation**2)))
    return Errors(
        unit,
        difference.size,
        float(np.mean(np.abs(difference))),
        rmse,
        100 * rmse / std if std > 0 else np.nan,
    )


def error_table(evaluation: Evaluation) -> Dict[str, Errors]:
    """The errors of every quantity.

    :param evaluation: predictions and references.
    """
    return {
        quantity: errors([(b.predicted, b.reference) for b in blocks], blocks[0].unit)
        for quantity, blocks in evaluation.quantities().items()
    }


COLUMNS = ["target", "values", "MAE", "RMSE", "unit", "% of std. dev."]


def rows(table: Dict[str, Errors]) -> List[List[str]]:
    """The cells of the table, below ``COLUMNS``.

    :param table: the errors.
    """
    return [
        [
            quantity,
            str(e.count),
            f"{e.mae:.4g}",
            f"{e.rmse:.4g}",
            e.unit,
            "-" if np.isnan(e.percent) else f"{e.percent:.2f}",
        ]
        for quantity, e in table.items()
    ]


def as_text(table: Dict[str, Errors]) -> str:
    """The table in aligned columns.

    :param table: the errors.
    """
    cells = [COLUMNS, *rows(table)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(COLUMNS))]
    is_text = [column in ("target", "unit") for column in COLUMNS]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if text else cell.rjust(width)
            for cell, width, text in zip(row, widths, is_text)
        ).rstrip()
        for row in cells
    )
