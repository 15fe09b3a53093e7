"""Selects the epoch to export."""

import copy
import logging
import math
from typing import Any, Dict, Optional

from metatrain.utils.metrics import get_selected_metric

from ..interface.architecture import ScalarTensor


NO_ERROR = 1e-12
"""Errors that are exactly zero, such as those of a target that its baseline explains,
relative to the smallest of the others: the product of all would say nothing about
these."""


class Selection:
    """The epoch with the lowest validation errors, or the latest of equally good ones.

    Without validation errors, because there are no validation structures or none of
    them has a value, it is the last epoch.
    """

    def __init__(self) -> None:
        self.epoch: Optional[int] = None  # None for before the first one
        self.value = math.inf  # value of the metric
        self.results: Dict[str, float] = {}  # all errors of the epoch
        self.model_state: Optional[Dict[str, Any]] = None

    def offer(
        self,
        model: ScalarTensor,
        epoch: Optional[int],
        results: Dict[str, float],
        metric: str,
    ) -> None:
        """Select an epoch if it is not worse than the best one so far.

        :param model: the model, with the weights that would be exported.
        :param epoch: number of the epoch; ``None`` before the first one.
        :param results: validation loss and errors of the epoch, if any.
        :param metric: the hyperparameter ``best_model_metric``.
        """
        has_errors = any("RMSE" in name for name in results)
        if not has_errors and self.epoch is None and epoch is not None:
            logging.info("There are no validation errors: the last epoch is exported")
        value = value_of(results, metric) if has_errors else math.inf
        if value <= self.value or not has_errors:
            self.value, self.epoch, self.results = value, epoch, results
            self.model_state = copy.deepcopy(model.state_dict())

    def or_start(self, start: "Selection") -> "Selection":
        """The initial weights if they are better, or if there is no epoch."""
        is_better = start.value < self.value or self.epoch is None
        return start if is_better else self

    def state_dict(self) -> Dict[str, Any]:
        """The state for a checkpoint."""
        state = {
            "best_epoch": self.epoch,
            "best_metric": self.value,
            "best_results": self.results,
        }
        if self.model_state is not None:
            state["best_model_state_dict"] = self.model_state
        return state

    def load_state_dict(self, checkpoint: Dict[str, Any], metric: str) -> None:
        """Restore the state from a checkpoint, if there is anything selected in it.

        :param checkpoint: from :meth:`state_dict`.
        :param metric: the hyperparameter ``best_model_metric``, which may be another
            one than that of the checkpoint. If its errors were not computed, nothing
            is restored.
        """
        if "best_model_state_dict" not in checkpoint:
            return
        results = checkpoint["best_results"]
        if metric == "mae_prod" and not any("MAE" in name for name in results):
            return
        self.epoch = checkpoint["best_epoch"]
        self.results = results
        has_errors = any("RMSE" in name for name in results)
        self.value = value_of(results, metric) if has_errors else math.inf
        self.model_state = checkpoint["best_model_state_dict"]


def value_of(results: Dict[str, float], metric: str) -> float:
    """The value by which epochs are compared.

    :param results: validation loss and errors.
    :param metric: the hyperparameter ``best_model_metric``.
    """
    smallest = min((error for error in results.values() if error > 0), default=0.0)
    positive = {name: error or NO_ERROR * smallest for name, error in results.items()}
    return get_selected_metric(positive, metric)
