"""From datasets to batches."""

import logging
from typing import Any, Callable, Dict, List

from metatrain.utils.additive import get_remove_additive_transform
from metatrain.utils.data import (
    CollateFn,
    CombinedDataLoader,
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
from .checks import Datasets
from .processes import Processes


def build_collate_fn(model: ScalarTensor, prepare_atomic_basis: Callable) -> CollateFn:
    """What happens to a batch before the model sees it.

    Neighbor lists are computed, and the additive models and scales are taken off the
    targets, on the CPU and in float64, as metatrain's transforms need it.

    :param model: the model.
    :param prepare_atomic_basis: transform of atomic-basis targets to their dense form.
    :return: the collate function.
    """
    targets = model.dataset_info.targets
    additive_models, scaler = model.baseline.float64_copy_on_cpu()
    return CollateFn(
        target_keys=list(targets),
        callables=[
            prepare_atomic_basis,
            get_system_with_neighbor_lists_transform(
                get_requested_neighbor_lists(model)
            ),
            get_remove_additive_transform(additive_models, targets),
            get_remove_scale_transform(scaler),
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
                DistributedSampler(d, processes.world_size, processes.rank, **kwargs)
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
