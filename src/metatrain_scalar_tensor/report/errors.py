"""Errors of predictions, a table of them, and the structures with the largest ones."""

from dataclasses import dataclass
from typing import Dict, List, Sequence, Tuple

import numpy as np

from .evaluation import Block, Evaluation


@dataclass
class Errors:
    """Errors of the predictions of one quantity."""

    unit: str
    count: int
    """The number of values that have a reference."""
    mae: float
    """Mean absolute error, in ``unit``."""
    rmse: float
    """Root mean squared error, in ``unit``."""
    percent: float
    """The RMSE in % of the standard deviation of the references; NaN if that is 0."""


def errors(pairs: Sequence[Tuple[np.ndarray, np.ndarray]], unit: str = "") -> Errors:
    """Errors over all values that have a reference.

    :param pairs: predictions and references, ``(samples, ...)``, of one or more blocks;
        a missing reference is NaN.
    :param unit: unit of the values.
    :return: the errors. The standard deviation is taken around a separate mean for
        every component and property of a block.
    """
    differences, deviations = [], []
    for predicted, reference in pairs:
        known = np.ma.masked_invalid(reference)
        differences.append((predicted - known).compressed())
        deviations.append((known - known.mean(axis=0)).compressed())
    difference, deviation = np.concatenate(differences), np.concatenate(deviations)
    if difference.size == 0:
        return Errors(unit, 0, np.nan, np.nan, np.nan)
    mae = float(np.mean(np.abs(difference)))
    rmse = float(np.sqrt(np.mean(difference**2)))
    std = float(np.sqrt(np.mean(deviation**2)))
    return Errors(
        unit, difference.size, mae, rmse, 100 * rmse / std if std > 0 else np.nan
    )


def error_table(evaluation: Evaluation) -> Dict[str, Errors]:
    """The errors of every quantity.

    :param evaluation: predictions and references.
    """
    return {
        quantity: errors([(b.predicted, b.reference) for b in blocks], blocks[0].unit)
        for quantity, blocks in evaluation.quantities().items()
    }


def rmse_of_structures(blocks: Sequence[Block], number: int) -> np.ndarray:
    """The error of one quantity in every structure.

    :param blocks: all blocks of the quantity.
    :param number: of structures.
    :return: the RMSE over the values of a structure, ``(structures,)``; NaN for those
        without a reference.
    """
    total, count = np.zeros(number), np.zeros(number)
    for block in blocks:
        squares = (block.predicted - block.reference).reshape(len(block.samples), -1)
        squares = squares**2
        np.add.at(total, block.samples[:, 0], np.nansum(squares, axis=1))
        np.add.at(count, block.samples[:, 0], np.isfinite(squares).sum(axis=1))
    return np.sqrt(np.divide(total, count, np.full(number, np.nan), where=count > 0))


@dataclass
class Outlier:
    """A structure, and the quantity in which it is worst."""

    structure: int
    """Counted from 0, over all data."""
    formula: str
    quantity: str
    rmse: float
    """Over the values of the quantity in this structure, in its unit."""
    unit: str
    ratio: float
    """``rmse`` in multiples of the RMSE over all structures."""


def outliers(
    evaluation: Evaluation, table: Dict[str, Errors], number: int = 10
) -> List[Outlier]:
    """The structures with the largest errors.

    Errors of different quantities are compared in multiples of the RMSE of each.

    :param evaluation: predictions and references.
    :param table: the errors of the quantities.
    :param number: at most so many structures.
    :return: the worst first.
    """
    structures = evaluation.structures
    found: Dict[int, Outlier] = {}
    for quantity, blocks in evaluation.quantities().items():
        overall = table[quantity].rmse
        if not overall > 0:  # without references, or exact
            continue
        rmses = rmse_of_structures(blocks, len(structures))
        for i in np.flatnonzero(np.isfinite(rmses)).tolist():
            ratio = float(rmses[i] / overall)
            if i not in found or ratio > found[i].ratio:
                formula = structures[i].get_chemical_formula()
                found[i] = Outlier(
                    i, formula, quantity, float(rmses[i]), blocks[0].unit, ratio
                )
    return sorted(found.values(), key=lambda outlier: -outlier.ratio)[:number]


COLUMNS = ["target", "values", "MAE", "RMSE", "unit", "% of std. dev."]


def rows(table: Dict[str, Errors]) -> List[List[str]]:
    """The cells of the table, without the header ``COLUMNS``.

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
    """The table in aligned columns, text to the left and numbers to the right.

    :param table: the errors.
    """
    columns = []
    for header, *cells in zip(COLUMNS, *rows(table)):
        width = max(len(cell) for cell in [header, *cells])
        align = str.ljust if header in ("target", "unit") else str.rjust
        columns.append([align(cell, width) for cell in [header, *cells]])
    return "\n".join("  ".join(line).rstrip() for line in zip(*columns))
