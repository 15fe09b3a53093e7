"""Selects the weights that a training changes."""

import logging
from typing import Any, Optional, Set

from ..interface.architecture import ScalarTensor
from ..interface.sources import Datasets
from .checks import targets_of_data
from .documentation import FinetuneHypers


def choose_weights(
    model: ScalarTensor, datasets: Datasets, hypers: Optional[FinetuneHypers]
) -> None:
    """Require gradients of the weights to train, and of no others.

    :param model: the model, which may have targets that the data lack.
    :param datasets: training sets.
    :param hypers: how to fine-tune; ``None`` for a new model.
    """
    targets = targets_of_data(datasets, model.dataset_info)
    others = sorted(set(model.dataset_info.targets) - targets)
    if hypers is not None and hypers.get("method") == "heads":
        _keep_all_but(targets, model)
    elif len(others) > 0:
        logging.warning(
            f"the targets {others} of the trained model are not in the data: weights "
            "that they share with the others change, and their predictions get worse. "
            "If you still need them, train with their data too, or set 'method: heads' "
            "in 'finetune', which leaves their predictions unchanged"
        )


def forget_ensembles(model: ScalarTensor) -> None:
    """Remove the ensembles of weights that the training changes.

    :param model: the model, whose weights are chosen.
    """
    for head in model.model.heads().values():
        if any(weights.requires_grad for weights in head.parameters()):
            head.reset_members(0)
    model.offer_ensembles()


def _keep_all_but(targets: Set[str], model: ScalarTensor) -> None:
    """Freeze all weights but those that only these targets use."""
    model.requires_grad_(False)
    readout: Any  # mypy takes its methods for tensors
    for readout in model.model.readouts.values():
        for module in readout.only_used_by(targets):
            module.requires_grad_(True)
