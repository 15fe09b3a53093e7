"""Checks of the hyperparameters before the training."""

from typing import Any, Dict, Iterable, Iterator

from ..interface.names import check_names_in_options
from .documentation import TrainerHypers


LOSSES = ("mse", "mae", "huber", "shift_agnostic_mse")  # of metatrain's


def check_hypers(
    hypers: TrainerHypers, intensive: Iterable[str], targets: Iterable[str]
) -> None:
    """Refuse hyperparameters that contradict each other, or the data.

    :param hypers: hyperparameters of the training.
    :param intensive: the intensive targets.
    :param targets: all targets.
    :raises ValueError: if they do.
    """
    check_names_in_options(
        "training",
        hypers,
        ("per_structure_targets", "atomic_baseline", "fixed_scaling_weights"),
        targets,
    )
    both = sorted(set(intensive) & set(hypers["per_structure_targets"]))
    if len(both) > 0:
        raise ValueError(
            f"{both} are in 'model.intensive' and in 'training.per_structure_targets', "
            "which is for targets that grow with the number of atoms: take them out of "
            "the latter"
        )
    for loss in _losses(hypers["loss"]):
        kind = loss.get("type", "mse")
        if kind not in LOSSES:
            instead = "write NaN for unknown values" if "mask" in kind else "take mse"
            raise ValueError(
                f"the loss '{kind}' is not possible here, but {', '.join(LOSSES)} are: "
                f"{instead}"
            )
        if loss.get("weight", 1.0) < 0:
            raise ValueError(f"the loss has a negative weight, {loss['weight']}")
        if loss.get("reduction", "mean") not in ("mean", "sum"):
            raise ValueError(
                f"the loss has 'reduction: {loss['reduction']}', but it must be one "
                "number: mean or sum"
            )
    scales = hypers["fixed_scaling_weights"]
    for name, scale in {} if isinstance(scales, str) else scales.items():
        of_types = scale.values() if isinstance(scale, dict) else [scale]
        if min(of_types) <= 0:
            raise ValueError(
                f"'fixed_scaling_weights' of '{name}' must be positive, not {scale}"
            )
    if hypers["best_model_metric"] == "mae_prod" and not hypers["log_mae"]:
        raise ValueError(
            "'best_model_metric: mae_prod' needs 'log_mae: true', without which no "
            "mean absolute error is computed"
        )
    if hypers["num_ensemble_members"] == 1:
        raise ValueError(
            "'num_ensemble_members: 1': one member has no standard deviation. Set it "
            "to 32, or to 0 for no ensemble"
        )


def _losses(loss: Any) -> Iterator[Dict[str, Any]]:
    """The specifications in the hyperparameter ``loss``, of all targets and gradients.

    :param loss: the name of a loss, or a dictionary.
    """
    if isinstance(loss, str):
        yield {"type": loss}
        return
    yield loss
    for key, value in loss.items():
        if key not in ("type", "reduction") and isinstance(value, (str, dict)):
            yield from _losses(value)
