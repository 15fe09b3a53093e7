"""Versions of checkpoints, and which weights of them are used.

Nothing was released yet: until then, a change of what a checkpoint holds replaces
``tests/checkpoints``, and the versions stay at 1.
"""

import logging
from typing import Any, Dict, Literal

import torch


def check_version(
    checkpoint: Dict[str, Any], part: Literal["model", "trainer"], version: int
) -> Dict[str, Any]:
    """Refuse a checkpoint of another version.

    :param checkpoint: checkpoint of any version.
    :param part: which part of it.
    :param version: the current version.
    :return: the checkpoint.
    :raises RuntimeError: if its version is another one.
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
    """The weights that are to be used.

    :param checkpoint: checkpoint, of the current version.
    :param context: ``restart`` takes the latest, ``finetune`` and ``export`` the best.
    :return: state of the model.
    :raises ValueError: for another context.
    """
    if context == "restart":
        logging.info(f"Using latest model from epoch {checkpoint['epoch']}")
        return checkpoint["model_state_dict"]
    if context in ("finetune", "export"):
        logging.info(f"Using best model from epoch {checkpoint['best_epoch']}")
        return checkpoint["best_model_state_dict"]
    raise ValueError(f"unknown context '{context}' to load a checkpoint in")
