"""Losses and errors of a training, from the ``train.csv`` that metatrain writes."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional

import numpy as np

from .data import ReportError


@dataclass
class History:
    """The columns of ``train.csv``: ``Epoch``, ``training loss`` and so on."""

    columns: Dict[str, np.ndarray]
    """The values of each column, one per epoch."""
    units: Dict[str, str]
    """The unit of each column, empty if it has none."""


def read_history(path: Path) -> Optional[History]:
    """Read ``train.csv``.

    :param path: the file.
    :return: the losses and errors; ``None`` if there is no file, or no epoch in it.
    :raises ReportError: if the file is not a table of epochs.
    """
    if not path.is_file():
        return None
    text = path.read_text(encoding="utf8")
    # An interrupted training may leave half a line at the end
    lines = list(csv.reader(text[: text.rfind("\n") + 1].splitlines()))
    if len(lines) < 3:
        return None
    names, units, *rows = lines
    epochs: Dict[float, List[float]] = {}
    for row in rows:
        if row in (names, units):  # a restart in the same folder repeats the header
            continue
        try:
            values = dict(zip(names, map(float, row), strict=True))
            epochs[values["Epoch"]] = list(values.values())
        except (ValueError, KeyError) as error:
            raise ReportError(
                f"'{path}' is not a table of epochs as metatrain writes it: remove it "
                "to get a report without a picture of the training"
            ) from error
    if len(epochs) == 0:
        return None
    columns = np.array(list(epochs.values())).T
    return History(dict(zip(names, columns)), dict(zip(names, units)))
