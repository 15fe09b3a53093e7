"""The lines of the log."""

import logging
from typing import Dict, List, Optional

from metatrain.utils.data import DatasetInfo
from metatrain.utils.logging import ROOT_LOGGER, MetricLogger

from ..density import choose_species
from ..documentation import ModelHypers


def log_species(hypers: ModelHypers, num_types: int) -> None:
    """Log what ``species: {type: auto}`` stands for, if the types are many."""
    chosen = choose_species(hypers["species"], num_types)
    if chosen != hypers["species"] and chosen["type"] != "orthogonal":
        logging.info(
            f"{num_types} atomic types are many: 'model.species.type' is "
            f"'{chosen['type']}'"
        )


class Log:
    """metatrain's ``MetricLogger``, with support for errors that are zero or missing.

    It lays out its columns by the errors of the first epoch, where a target may have no
    values, or an error of zero.

    :param dataset_info: the targets, for their units.
    :param rank: number of this process; the first one writes.
    """

    names = ["training", "validation"]

    def __init__(self, dataset_info: DatasetInfo, rank: int) -> None:
        self.dataset_info = dataset_info
        self.rank = rank
        self._logger: Optional[MetricLogger] = None
        self._columns: List[Dict[str, float]] = []

    def write(
        self, results: List[Dict[str, float]], epoch: int, learning_rate: float
    ) -> None:
        """Write a line.

        :param results: loss and errors of training and validation.
        :param epoch: number of the epoch.
        :param learning_rate: learning rate at the start of the epoch.
        """
        if self._logger is None:
            self._columns = [
                {k: v if 0.0 < v < float("inf") else 1.0 for k, v in result.items()}
                for result in results
            ]
            self._logger = MetricLogger(
                ROOT_LOGGER, self.dataset_info, self._columns, self.names
            )
        known = [
            {name: value for name, value in result.items() if name in columns}
            for result, columns in zip(results, self._columns)
        ]
        self._logger.log(known, epoch, self.rank, learning_rate)

    def write_exported(
        self, epoch: Optional[int], num_epochs: int, results: Dict[str, float]
    ) -> None:
        """Log which weights are exported, and their errors.

        :param epoch: number of the epoch; ``None`` for those before the first one.
        :param num_epochs: total number of epochs.
        :param results: validation loss and errors of the epoch.
        """
        if self.rank != 0:
            return
        if epoch is not None:
            name = f"of epoch {epoch} of {num_epochs}"
        else:
            name = "from before the first epoch"
        errors = {key: value for key, value in results.items() if key != "loss"}
        logging.info(f"Exported are the weights {name}{', with' if errors else ''}")
        if len(errors) > 0:
            columns = {k: v if v > 0.0 else 1.0 for k, v in errors.items()}
            logger = MetricLogger(ROOT_LOGGER, self.dataset_info, columns, "validation")
            logger.log(errors)
