"""What checkpoints contain, their versions, and which of their weights are used.

A change to the content of checkpoints since the last release increases the version, and
needs an upgrade: ``CONTRIBUTING.md``.
"""

import copy
import logging
from typing import Any, Callable, Dict, List, Literal

import torch
from metatrain.utils.abc import ModelInterface

from ..density import choose_species
from ..readout import center_of
from ..readout.functions import NUM_FUNCTIONS, ScalarFunctions


PAIRS = "model.atom_pairs"  # where the weights of pairs are


def of_model(name: str, model: ModelInterface) -> Dict[str, Any]:
    """The checkpoint of a model that is not being trained.

    :param name: name of the architecture.
    :param model: the model.
    """
    return {
        "architecture_name": name,
        "model_ckpt_version": model.__checkpoint_version__,
        "metadata": model.metadata,
        "model_data": {
            "model_hypers": model.hypers,
            "dataset_info": model.dataset_info,
        },
        "epoch": None,
        "best_epoch": None,
        "model_state_dict": model.state_dict(),
        "best_model_state_dict": model.state_dict(),
    }


def upgraded(
    checkpoint: Dict[str, Any], part: Literal["model", "trainer"], version: int
) -> Dict[str, Any]:
    """Return a checkpoint in the current version, made from that of an older one.

    :param checkpoint: the checkpoint, which is changed.
    :param part: what to upgrade.
    :param version: the current version.
    :raises RuntimeError: if the checkpoint has an unknown version.
    """
    key = f"{part}_ckpt_version"
    upgrades = UPGRADES[part]
    while checkpoint[key] in upgrades:
        upgrades[checkpoint[key]](checkpoint)
        checkpoint[key] += 1
    if checkpoint[key] != version:
        raise RuntimeError(
            f"Unable to upgrade the checkpoint: the checkpoint is using {part} version "
            f"{checkpoint[key]}, while the current {part} version is {version}."
        )
    return checkpoint


def _model_1(checkpoint: Dict[str, Any]) -> None:
    """Blocks of matrices got coefficients for every type, and functions of scalars."""
    for name in ("model_state_dict", "best_model_state_dict"):
        checkpoint[name] = _with_new_weights(checkpoint, checkpoint[name])


def _trainer_1(checkpoint: Dict[str, Any]) -> None:
    """The same for averages and selected weights; the optimizer starts anew."""
    for name in ("trainer_selection", "trainer_start"):
        best = checkpoint[name].get("best_model_state_dict")
        if best is not None:
            best = _with_new_weights(checkpoint, best)
            checkpoint[name]["best_model_state_dict"] = best
    state, weights = checkpoint["trainer_state"], checkpoint["model_state_dict"]
    has_pairs = any(name.startswith(PAIRS) for name in weights)
    if state is not None and (has_pairs or len(_targets_with_types(checkpoint)) > 0):
        averages = state["average"]["averages"]
        state["average"]["averages"] = _with_new_weights(checkpoint, averages)
        del state["optimizer"]  # has other weights


def _has_weights_of_types(checkpoint: Dict[str, Any]) -> bool:
    """Whether every type has weights of its own."""
    data = checkpoint["model_data"]
    num_types = len(data["dataset_info"].atomic_types)
    species = choose_species(data["model_hypers"]["species"], num_types)
    return species["type"] == "orthogonal"


def _targets_with_types(checkpoint: Dict[str, Any]) -> List[str]:
    """The targets of atoms that have coefficients for every type."""
    if not _has_weights_of_types(checkpoint):
        return []
    return [
        name
        for name, target in checkpoint["model_data"]["dataset_info"].targets.items()
        if center_of(target) == "atom" and target.is_atomic_basis
    ]


def _with_new_weights(
    checkpoint: Dict[str, Any], weights: Dict[str, torch.Tensor]
) -> Dict[str, torch.Tensor]:
    """A copy of a state with the same predictions.

    All types have the coefficients and the units that were those of all, and functions
    of scalars have no weight.
    """
    weights = copy.copy(weights)
    num_types = len(checkpoint["model_data"]["dataset_info"].atomic_types)
    targets = _targets_with_types(checkpoint)
    for name in targets:
        head = f"model.readouts.atom.heads.{name}"
        for kind in ("weight", "members.differences"):
            key = f"{head}.coefficients.{kind}"
            if key in weights:  # (..., coefficients, features)
                weights[key] = torch.cat([weights[key]] * num_types, dim=-2)
        for key in list(weights):  # (..., scalars)
            if key.startswith(f"{head}.blocks.") and ".linear." in key:
                number = weights[key].shape[-1]
                new = torch.nn.functional.pad(weights[key], (0, NUM_FUNCTIONS))
                weights[key] = new * (1.0 + NUM_FUNCTIONS / number) ** 0.5
    first_layer = weights.get("model.network.networks.0.0.weight")
    if len(targets) > 0 and first_layer is not None:
        num_inputs = len(checkpoint["model_data"]["model_hypers"]["system_inputs"])
        number = (first_layer.shape[1] - num_inputs) * (1 + 2 * num_inputs)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            of_atoms = ScalarFunctions(number, num_types, NUM_FUNCTIONS)
        of_atoms.is_calibrated.fill_(True)
        for key, values in of_atoms.state_dict().items():
            weights[f"model.functions.{key}"] = values.to(first_layer.device)
    if f"{PAIRS}.normalise.weight" in weights:  # y = weight · x + bias
        weight = weights.pop(f"{PAIRS}.normalise.weight")
        mean = -weights.pop(f"{PAIRS}.normalise.bias") / weight
        functions = f"{PAIRS}.functions"
        for kind in ("weight", "bias"):
            weights[f"{functions}.functions.{kind}"] = weights.pop(
                f"{functions}.{kind}"
            )
        num_kinds = num_types**2 if _has_weights_of_types(checkpoint) else 1
        for kind, values in (("mean", mean), ("deviation", 1.0 / weight)):
            weights[f"{functions}.{kind}"] = values.repeat(num_kinds, 1)
        for name in (f"{functions}.is_calibrated", f"{PAIRS}.has_layer_norm"):
            weights[name] = torch.tensor(True)
    return weights


UPGRADES: Dict[str, Dict[int, Callable[[Dict[str, Any]], None]]] = {
    "model": {1: _model_1},
    "trainer": {1: _trainer_1},
}
"""From every earlier version to the next one"""


def model_state(
    checkpoint: Dict[str, Any], context: Literal["restart", "finetune", "export"]
) -> Dict[str, torch.Tensor]:
    """The latest weights for ``restart``, the best for ``finetune`` and ``export``.

    :raises ValueError: for any other context.
    """
    if context == "restart":
        logging.info(f"Using latest model from epoch {checkpoint['epoch']}")
        return checkpoint["model_state_dict"]
    if context in ("finetune", "export"):
        logging.info(f"Using best model from epoch {checkpoint['best_epoch']}")
        return checkpoint["best_model_state_dict"]
    raise ValueError(f"unknown context '{context}' to load a checkpoint in")
