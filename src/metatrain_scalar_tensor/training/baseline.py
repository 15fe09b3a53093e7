"""Fitting what is taken off the targets before the network sees them."""

from typing import Any, Dict

from metatrain.composition import train_or_load_composition_model
from metatrain.scaler import train_or_load_scaler

from ..baseline import Baseline
from ..documentation import TrainerHypers
from .loaders import Datasets
from .processes import Processes


def fit_baseline(
    baseline: Baseline,
    hypers: TrainerHypers,
    train_datasets: Datasets,
    processes: Processes,
    checkpoint_dir: str,
) -> None:
    """Fit composition model and scales to the training set, or load them.

    Targets that have theirs already, from an earlier training, keep them.

    :param baseline: what to fit; it is in float64 from here on.
    :param hypers: hyperparameters of the training.
    :param train_datasets: training sets.
    :param processes: the processes that share them.
    :param checkpoint_dir: where metatrain keeps a copy.
    :raises ValueError: if the scaler is to be loaded without its composition model.
    """
    atomic_baseline = hypers["atomic_baseline"]
    scaling_weights = hypers["fixed_scaling_weights"]
    if isinstance(scaling_weights, str) and not isinstance(atomic_baseline, str):
        raise ValueError(
            "'fixed_scaling_weights' is the path of a scaler, which was fitted "
            "together with a composition model: give the path of that one as "
            "'atomic_baseline'"
        )
    baseline.double()
    shared: Dict[str, Any] = {
        "train_datasets": train_datasets,
        "batch_size": hypers["batch_size"],
        "is_distributed": processes.is_distributed,
        "checkpoint_dir": checkpoint_dir,
    }
    train_or_load_composition_model(
        composition_model=baseline.additive_models[0],
        atomic_baseline=atomic_baseline,
        other_additive_models=list(baseline.additive_models[1:]),
        **shared,
    )
    if hypers["scale_targets"]:
        train_or_load_scaler(
            scaler=baseline.scaler,
            fixed_weights=scaling_weights,
            additive_models=baseline.additive_models,
            per_structure_targets=hypers["per_structure_targets"],
            **shared,
        )
