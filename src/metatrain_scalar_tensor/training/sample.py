"""Typical structures of the training sets."""

from typing import Any, List

import torch
from metatomic.torch import System
from metatrain.utils.neighbor_lists import (
    get_requested_neighbor_lists,
    get_system_with_neighbor_lists,
)
from torch.utils.data import ConcatDataset

from ..interface.architecture import ScalarTensor
from ..interface.inputs import structure_with_inputs
from ..interface.sources import Datasets


MAX_ATOMS = 10_000


def calibrate(model: ScalarTensor, datasets: Datasets, batch_size: int) -> None:
    """Set the scales of density, inputs, messages and pairs, unless already set."""
    if not model.model.is_calibrated():
        model.calibrate(typical_structures(model, datasets, batch_size))


def typical_structures(
    model: ScalarTensor, datasets: Datasets, batch_size: int
) -> List[List[System]]:
    """All structures or, for large training sets, a random sample, in batches.

    The sample has about ``MAX_ATOMS`` atoms. It is the same in every run and process.

    :param model: the model, for its inputs, neighbor lists, dtype and device.
    :param datasets: training sets.
    :param batch_size: number of structures in a batch.
    """
    everything: Any = ConcatDataset(datasets)
    order = torch.randperm(len(everything), generator=torch.Generator().manual_seed(0))
    neighbor_lists = get_requested_neighbor_lists(model)
    weights = next(model.parameters())
    systems: List[System] = []
    num_atoms = 0
    for i in order.tolist():
        system = structure_with_inputs(everything[i], list(model.requested_inputs()))
        system = get_system_with_neighbor_lists(system, neighbor_lists)
        systems.append(system.to(weights.dtype, weights.device))
        num_atoms += len(system)
        if num_atoms >= MAX_ATOMS:
            break
    return [systems[i : i + batch_size] for i in range(0, len(systems), batch_size)]
