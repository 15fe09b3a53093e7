"""From datasets to batches."""

import copy
import logging
from typing import Any, Callable, Dict, List, Tuple, Union

import torch
from metatensor.torch import TensorMap
from metatomic.torch import System
from metatrain.utils.additive import get_remove_additive_transform
from metatrain.utils.data import (
    CollateFn,
    CombinedDataLoader,
    Dataset,
    TargetInfo,
    build_train_dataloaders,
    build_val_dataloaders,
    get_num_workers,
    validate_num_workers,
)
from metatrain.utils.neighbor_lists import (
    get_requested_neighbor_lists,
    get_system_with_neighbor_lists_transform,
)
from metatrain.utils.scaler import get_remove_scale_transform
from torch.utils.data import DataLoader, DistributedSampler

from ..documentation import TrainerHypers
from ..model import ScalarTensor
from .processes import Processes


Datasets = List[Union[Dataset, torch.utils.data.Subset]]


def get_check_targets_transform(targets_info: Dict[str, TargetInfo]) -> Callable:
    """Refuse targets from which nothing can be learned.

    :param targets_info: the targets, atomic-basis ones in their dense form.
    :return: a transform of batches, which raises a ``ValueError`` for targets of the
        wrong shape and for infinite ones. NaN is fine: it stands for a missing value.
    """

    def transform(
        systems: List[System],
        targets: Dict[str, TensorMap],
        extra: Dict[str, TensorMap],
    ) -> Tuple[List[System], Dict[str, TensorMap], Dict[str, TensorMap]]:
        for name, target in targets.items():
            layout = targets_info[name].layout
            for key, block in target.items():
                expected = layout.block(key).values.shape[1:]
                if block.values.shape[1:] != expected:
                    raise ValueError(
                        f"target '{name}' has values of shape "
                        f"{tuple(block.values.shape[1:])} for every sample, and "
                        f"{tuple(expected)} was expected (components, then properties)"
                    )
                if torch.isinf(block.values).any():
                    raise ValueError(
                        f"target '{name}' has infinite values: write NaN for those that "
                        "are missing, they are left out of the loss"
                    )
        return systems, targets, extra

    return transform


def build_collate_fn(
    model: ScalarTensor,
    targets_info: Dict[str, TargetInfo],
    prepare_atomic_basis: Callable,
) -> CollateFn:
    """What happens to a batch before the model sees it.

    Neighbor lists are computed, and the additive models and scales are taken off the
    targets, on the CPU and in float64, as metatrain's transforms need it.

    :param model: the model.
    :param targets_info: the targets, atomic-basis ones in their dense form.
    :param prepare_atomic_basis: transform of atomic-basis targets to their dense form.
    :return: the collate function.
    """
    device = next(model.parameters()).device
    composition, scaler = model.additive_models[0], model.scaler
    composition.weights_to(device="cpu", dtype=torch.float64)
    scaler.scales_to(device="cpu", dtype=torch.float64)
    cpu_additive_models = copy.deepcopy(model.additive_models.cpu().double())
    cpu_scaler = copy.deepcopy(scaler.cpu().double())
    model.additive_models.to(device)
    scaler.to(device)
    composition.weights_to(device=device, dtype=torch.float64)
    scaler.scales_to(device=device, dtype=torch.float64)
    return CollateFn(
        target_keys=list(targets_info),
        callables=[
            prepare_atomic_basis,
            get_check_targets_transform(targets_info),
            get_system_with_neighbor_lists_transform(
                get_requested_neighbor_lists(model)
            ),
            get_remove_additive_transform(
                cpu_additive_models, model.dataset_info.targets
            ),
            get_remove_scale_transform(cpu_scaler),
        ],
    )


class Loaders:
    """The batches of the training and validation sets.

    :param hypers: hyperparameters of the training.
    :param collate_fn: what makes a batch.
    :param train_datasets: training sets.
    :param val_datasets: validation sets.
    :param processes: the processes that share them.
    :raises ValueError: if a training set is smaller than a batch.
    """

    def __init__(
        self,
        hypers: TrainerHypers,
        collate_fn: CollateFn,
        train_datasets: Datasets,
        val_datasets: Datasets,
        processes: Processes,
    ) -> None:
        if hypers["num_workers"] is None:
            num_workers = get_num_workers()
            logging.info(f"Loading data with {num_workers} workers")
        else:
            num_workers = hypers["num_workers"]
            validate_num_workers(num_workers)

        def samplers(datasets: Datasets, **kwargs: bool) -> List[Any]:
            if not processes.is_distributed:
                return [None] * len(datasets)
            return [
                DistributedSampler(d, processes.count, processes.rank, **kwargs)
                for d in datasets
            ]

        shared: Dict[str, Any] = {
            "batch_size": hypers["batch_size"],
            "max_atoms_per_batch": hypers["max_atoms_per_batch"],
            "num_workers": num_workers,
        }
        self._train: List[DataLoader]
        self._train, self._epoch_samplers = build_train_dataloaders(
            train_datasets,
            samplers(train_datasets, shuffle=True, drop_last=True),
            collate_fn,
            min_atoms_per_batch=hypers["min_atoms_per_batch"],
            **shared,
        )
        self._val: List[DataLoader] = build_val_dataloaders(
            val_datasets,
            samplers(val_datasets, shuffle=False),
            collate_fn,
            **shared,
        )
        self.steps_per_epoch = sum(len(loader) for loader in self._train)

    def train(self, epoch: int) -> CombinedDataLoader:
        """The training batches of an epoch, in the order that the random state gives.

        :param epoch: number of the epoch.
        :return: the batches, to be gone through once.
        """
        for sampler in self._epoch_samplers:
            sampler.set_epoch(epoch)
        return CombinedDataLoader(self._train, shuffle=True)

    def validation(self) -> CombinedDataLoader:
        """The validation batches, in order."""
        return CombinedDataLoader(self._val, shuffle=False)
