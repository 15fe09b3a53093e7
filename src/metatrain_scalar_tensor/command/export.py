"""Models of some of their targets."""

from pathlib import Path
from typing import List

from metatrain.utils.io import load_model

from ..interface.architecture import ScalarTensor


def export_outputs(checkpoint: Path, output: Path, names: List[str]) -> None:
    """Export a model of some of its targets.

    Engines ask a model how far it reaches, whatever they want of it. A model without
    tensors reaches one cutoff less, and a simulation on several processes needs fewer
    copies of atoms.

    :param checkpoint: a checkpoint (``.ckpt``) of the model.
    :param output: the file to write (``.pt``).
    :param names: the targets to keep.
    :raises ValueError: if the model is another one, or does not have a target.
    """
    try:
        model = load_model(checkpoint)
    except Exception as error:  # torch's, for a file of another kind
        raise ValueError(
            f"'{checkpoint}' can't be read: give the file ending in .ckpt that 'mtt "
            f"train' wrote. The error was: {error}"
        ) from error
    if not isinstance(model, ScalarTensor):
        raise ValueError(
            f"'{checkpoint}' is no checkpoint of an experimental.scalar_tensor: give "
            "the file ending in .ckpt that 'mtt train' wrote"
        )
    model.keep_targets(names)
    model.export().save(str(output))
