"""Checkpoints of older versions.

A change of what a checkpoint holds needs a function ``model_update_v<n>_v<n + 1>`` or
``trainer_update_v<n>_v<n + 1>`` here that brings the old content to the new, in place,
and a higher ``__checkpoint_version__`` of the model or trainer.
"""

import logging
from typing import Any, Dict, Literal

import torch


def upgrade(
    checkpoint: Dict[str, Any], part: Literal["model", "trainer"], version: int
) -> Dict[str, Any]:
    """Bring one part of a checkpoint to a version.

    :param checkpoint: checkpoint of any version.
    :param part: which part of it.
    :param version: the version to reach.
    :return: the checkpoint.
    :raises RuntimeError: if there is no way from its version to that one.
    """
    key = f"{part}_ckpt_version"
    for v in range(checkpoint[key], version):
        globals()[f"{part}_update_v{v}_v{v + 1}"](checkpoint)
        checkpoint[key] = v + 1
    if checkpoint[key] != version:
        raise RuntimeError(
            f"Unable to upgrade the checkpoint: the checkpoint is using {part} version "
            f"{checkpoint[key]}, while the current {part} version is {version}."
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


def model_update_v1_v2(checkpoint: Dict[str, Any]) -> None:
    """The density had no ``engine``, and only pseudotensors had products of ``pairs``.

    :param checkpoint: checkpoint with a model of version 1, changed in place.
    """
    hypers = checkpoint["model_data"]["model_hypers"]
    hypers.setdefault("engine", "auto")
    hypers["tensor_basis"].setdefault("pairs", None)


def model_update_v2_v3(checkpoint: Dict[str, Any]) -> None:
    """Neighbor types could not be mixed, and tensors depended on the center type.

    :param checkpoint: checkpoint with a model of version 2, changed in place.
    :raises RuntimeError: if the model has tensors, whose channels were different for
        different center types.
    """
    hypers = checkpoint["model_data"]["model_hypers"]
    hypers["species"] = {
        "type": "orthogonal",
        "num_channels": 64,
        "correlation_order": 3,
    }
    hypers["tensor_basis"]["neighbors"] = None
    hypers["index_symmetry"] = {}
    hypers["messages"] = {"layers": 0, "max_rank": 2, "num_channels": 16}
    if any(name.startswith("bases.") for name in checkpoint["model_state_dict"]):
        raise RuntimeError(
            "Unable to upgrade the checkpoint: models of versions 1 and 2 with targets "
            "other than scalars can't be trained or exported any more, train a new "
            "one. Files that were exported from them (.pt) go on working."
        )


def model_update_v3_v4(checkpoint: Dict[str, Any]) -> None:
    """Messages changed, and there are targets of pairs of atoms.

    :param checkpoint: checkpoint with a model of version 3, changed in place.
    :raises RuntimeError: if the model has messages.
    """
    hypers = checkpoint["model_data"]["model_hypers"]
    if hypers["messages"]["layers"] > 0:
        raise RuntimeError(
            "Unable to upgrade the checkpoint: models of version 3 with messages can't "
            "be trained or exported any more, train a new one. Files that were "
            "exported from them (.pt) go on working."
        )
    hypers["messages"] = {
        "layers": 0,
        "max_rank": 2,
        "channels": 16,
        "representation": "spherical",
    }
    hypers["tensor_basis"]["gradients"] = None
    hypers["exchange_symmetry"] = {}
    hypers["atom_pairs"] = {"cutoff": 5.0, "num_channels": 8}


def model_update_v4_v5(checkpoint: Dict[str, Any]) -> None:
    """Neighbor sums became a default, and the checkpoint says whether it has them.

    :param checkpoint: checkpoint with a model of version 4, which stays as it is.
    """


def trainer_update_v1_v2(checkpoint: Dict[str, Any]) -> None:
    """Data sets are kept in memory, and the optimizer is the fused one.

    :param checkpoint: checkpoint with a trainer of version 1, changed in place.
    """
    checkpoint["train_hypers"].setdefault("cache_memory", 2.0)
    if checkpoint["trainer_state"] is not None:
        for group in checkpoint["trainer_state"]["optimizer"]["param_groups"]:
            group["fused"] = True


def trainer_update_v2_v3(checkpoint: Dict[str, Any]) -> None:
    """There was no supervision of traces.

    :param checkpoint: checkpoint with a trainer of version 2, changed in place.
    """
    none = {"weight": 0.0, "schedule": "linear", "targets": None}
    checkpoint["train_hypers"].setdefault("trace_supervision", none)
