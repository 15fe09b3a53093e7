"""Finds the structure that makes a loss NaN."""

import torch
from metatomic.torch import ModelOutput
from metatrain.utils.neighbor_lists import (
    get_requested_neighbor_lists,
    get_system_with_neighbor_lists,
)

from ..interface.architecture import ScalarTensor
from ..interface.inputs import structure_with_inputs
from ..interface.sources import Datasets, Sources


@torch.no_grad()
def refuse_bad_structure(
    model: ScalarTensor, epoch: int, val_datasets: Datasets, sources: Sources
) -> None:
    """Stop the training if the validation loss is not finite.

    :param model: the model, with the weights of the epoch.
    :param epoch: number of the epoch.
    :param val_datasets: validation sets.
    :param sources: the files of the data sets.
    :raises RuntimeError: always, with the first structure whose prediction is not
        finite, if there is one.
    """
    weights = next(model.parameters())
    outputs = {
        name: ModelOutput(sample_kind=info.sample_kind)
        for name, info in model.dataset_info.targets.items()
    }
    for number, dataset in enumerate(val_datasets):
        for i, sample in enumerate(dataset):
            system = structure_with_inputs(sample, list(model.requested_inputs()))
            system = get_system_with_neighbor_lists(
                system.to(weights.dtype, weights.device),
                get_requested_neighbor_lists(model),
            )
            predictions = model([system], outputs).values()
            blocks = [block for tensor in predictions for block in tensor.blocks()]
            if not all(block.values.isfinite().all() for block in blocks):
                raise RuntimeError(
                    f"in epoch {epoch}, the prediction for "
                    f"{sources.structure('validation', number, dataset, i)} is not a "
                    "finite number: check the structure or take it out, or lower "
                    "'learning_rate'"
                )
    raise RuntimeError(
        f"the validation loss of epoch {epoch} is not a finite number: lower "
        "'learning_rate'"
    )
