"""Exports models with some of their targets."""

from pathlib import Path
from typing import List

from metatrain.utils.io import load_model

from ..interface.architecture import ScalarTensor
from .files import check_folder


def export_outputs(checkpoint: Path, output: Path, names: List[str]) -> None:
    """Export a model with some of its targets.

    Simulation engines use the reach of the whole model, whichever output they need.
    Without tensors it is one cutoff less, and a simulation on several processes needs
    fewer copies of atoms.

    :param checkpoint: a checkpoint (``.ckpt``) of the model.
    :param output: the file to write (``.pt``).
    :param names: the targets to keep.
    :raises ValueError: if the file is no checkpoint of this architecture, or the model
        lacks a target, or the output can't be written.
    """
    check_folder(output)
    try:
        model = load_model(checkpoint)
    except Exception as error:  # torch's, if the file is not a checkpoint
        raise ValueError(
            f"'{checkpoint}' can't be read: give the file ending in .ckpt that 'mtt "
            f"train' wrote. The error was: {error}"
        ) from error
    if not isinstance(model, ScalarTensor):
        raise ValueError(
            f"'{checkpoint}' is no checkpoint of experimental.scalar_tensor: give "
            "the file ending in .ckpt that 'mtt train' wrote"
        )
    model.keep_targets(names)
    model.export().save(str(output))
