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
    """Targets of atoms on an atomic basis had the same coefficients for all types."""
    for name in ("model_state_dict", "best_model_state_dict"):
        checkpoint[name] = _with_coefficients_of_types(checkpoint, checkpoint[name])


def _trainer_1(checkpoint: Dict[str, Any]) -> None:
    """The same for averages and selected weights; momenta are forgotten."""
    for name in ("trainer_selection", "trainer_start"):
        best = checkpoint[name].get("best_model_state_dict")
        if best is not None:
            best = _with_coefficients_of_types(checkpoint, best)
            checkpoint[name]["best_model_state_dict"] = best
    state = checkpoint["trainer_state"]
    if state is not None and len(_targets_with_types(checkpoint)) > 0:
        average = state["average"]
        average["averages"] = _with_coefficients_of_types(
            checkpoint, average["averages"]
        )
        for optimizer in state["optimizer"].get("parts", [state["optimizer"]]):
            optimizer["state"] = {}


def _targets_with_types(checkpoint: Dict[str, Any]) -> List[str]:
    """The targets of atoms that have coefficients for every type."""
    data = checkpoint["model_data"]
    info = data["dataset_info"]
    species = choose_species(data["model_hypers"]["species"], len(info.atomic_types))
    return [
        name
        for name, target in info.targets.items()
        if species["type"] == "orthogonal"
        and center_of(target) == "atom"
        and target.is_atomic_basis
    ]


def _with_coefficients_of_types(
    checkpoint: Dict[str, Any], weights: Dict[str, torch.Tensor]
) -> Dict[str, torch.Tensor]:
    """Give every type the coefficients of all, in a copy of a state."""
    weights = copy.copy(weights)
    num_types = len(checkpoint["model_data"]["dataset_info"].atomic_types)
    for name in _targets_with_types(checkpoint):
        for kind in ("weight", "members.differences"):
            key = f"model.readouts.atom.heads.{name}.coefficients.{kind}"
            if key in weights:  # (..., coefficients, features)
                weights[key] = torch.cat([weights[key]] * num_types, dim=-2)
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
