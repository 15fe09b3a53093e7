"""What checkpoints contain, their versions, and which of their weights are used.

A change to the content of checkpoints since the last release increases the version, and
needs an upgrade: ``CONTRIBUTING.md``.
"""

import logging
from typing import Any, Dict, Literal

import torch
from metatrain.utils.abc import ModelInterface


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


def check_version(
    checkpoint: Dict[str, Any], part: Literal["model", "trainer"], version: int
) -> Dict[str, Any]:
    """Return a checkpoint of the current version, and refuse all others.

    :raises RuntimeError: if the checkpoint has a different version.
    """
    found = checkpoint[f"{part}_ckpt_version"]
    if found != version:
        raise RuntimeError(
            f"Unable to upgrade the checkpoint: the checkpoint is using {part} version "
            f"{found}, while the current {part} version is {version}."
        )
    return checkpoint


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
