"""From data sets to batches."""

import copy
import logging
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

import torch
from metatrain.utils.additive import get_remove_additive_transform
from metatrain.utils.data import (
    CollateFn,
    CombinedDataLoader,
    build_train_dataloaders,
    build_val_dataloaders,
    get_num_workers,
    unpack_batch,
    validate_num_workers,
)
from metatrain.utils.data.atomic_basis_helpers import (
    get_prepare_atomic_basis_targets_transform,
)
from metatrain.utils.neighbor_lists import (
    get_requested_neighbor_lists,
    get_system_with_neighbor_lists_transform,
)
from metatrain.utils.per_atom import average_by_num_atoms
from metatrain.utils.scaler import get_remove_scale_transform
from metatrain.utils.system_data import get_system_data_transform
from metatrain.utils.transfer import batch_to
from torch.utils.data import DataLoader, DistributedSampler, Subset

from ..interface.architecture import ScalarTensor
from ..interface.fit import get_drop_rounding_transform
from ..interface.pair_targets import get_pair_targets_transform
from ..interface.sources import Datasets
from .cache import Batch, Cache
from .documentation import TrainerHypers
from .processes import Processes


def build_collate_fn(
    model: ScalarTensor,
    prepare_atomic_basis: Callable,
    largest_values: Dict[str, float],
) -> CollateFn:
    """The function that prepares a batch for the model.

    It computes neighbor lists, and removes additive models and scales from the targets,
    on the CPU and in float64, as metatrain's transforms require.

    :param model: the model.
    :param prepare_atomic_basis: transform of atomic-basis targets to their dense form.
    :param largest_values: largest value of each target in the training set.
    """
    targets = model.dataset_info.targets
    additive_models, scaler = model.baseline.float64_copy_on_cpu()
    callables: List[Callable] = [
        get_system_with_neighbor_lists_transform(get_requested_neighbor_lists(model)),
        get_system_data_transform(list(model.requested_inputs())),
        prepare_atomic_basis,
    ]
    atom_pairs = model.model.atom_pairs
    if atom_pairs is not None:
        callables.append(get_pair_targets_transform(targets, atom_pairs.neighbor_list))
    callables += [
        get_remove_additive_transform(additive_models, targets),
        get_drop_rounding_transform(largest_values),
        get_remove_scale_transform(scaler),
    ]
    if atom_pairs is not None:
        scales = copy.deepcopy(model.baseline.pair_scales).to("cpu")
        callables.append(scales.remove_transform)
    return CollateFn(target_keys=list(targets), callables=callables)


def atomic_basis_transforms(model: ScalarTensor) -> Tuple[Callable, Callable]:
    """Metatrain's transforms of atomic-basis targets, to their dense form and back."""
    atom_pairs = model.model.atom_pairs
    return get_prepare_atomic_basis_targets_transform(
        model.dataset_info.targets,
        model.dataset_info.extra_data,
        None if atom_pairs is None else atom_pairs.neighbor_list,
    )


class Loaders:
    """The batches of the training and validation sets.

    Sets that fit into ``hypers["cache_memory"]`` are prepared once and kept in memory;
    others are read and prepared again in every epoch, by ``hypers["num_workers"]``
    processes.

    :param hypers: hyperparameters of the training.
    :param collate_fn: prepares a batch.
    :param train_datasets: training sets.
    :param val_datasets: validation sets.
    :param dtype: floating-point type of the batches.
    :param processes: the processes that share the data.
    """

    def __init__(
        self,
        hypers: TrainerHypers,
        collate_fn: CollateFn,
        train_datasets: Datasets,
        val_datasets: Datasets,
        dtype: torch.dtype,
        processes: Processes,
    ) -> None:
        self.hypers = hypers
        self.collate_fn = collate_fn
        self.dtype = dtype
        self.processes = processes
        self.cache = Cache(hypers["cache_memory"])
        if hypers["num_workers"] is None:
            self.num_workers = get_num_workers()
        else:
            self.num_workers = hypers["num_workers"]
            validate_num_workers(self.num_workers)

        self._train_sources: List[_Source] = []
        self._train: List[DataLoader] = []
        self._epoch_samplers: List[Any] = []
        for dataset in train_datasets:
            source = self._source(dataset)
            self._train_sources.append(source)
            # fewer structures than processes are repeated: none is left out
            drop_last = len(dataset) >= processes.world_size
            train_loaders, epoch_samplers = build_train_dataloaders(
                [source.dataset],
                [self._sampler(dataset, shuffle=True, drop_last=drop_last)],
                source.collate_fn,
                # metatrain refuses sets that are smaller, such as isolated atoms
                min(hypers["batch_size"], max(1, len(dataset))),
                hypers["max_atoms_per_batch"],
                hypers["min_atoms_per_batch"],
                source.num_workers,
            )
            self._train += train_loaders
            self._epoch_samplers += epoch_samplers
        self._val_sources: List[_Source] = []
        self._val: List[DataLoader] = []
        for dataset in val_datasets:
            source = self._source(dataset)
            self._val_sources.append(source)
            sampler = self._sampler(dataset, shuffle=False)
            self._val += self._in_order(source, sampler)
        self.steps_per_epoch = sum(len(loader) for loader in self._train)

    def train(self, epoch: int) -> Iterator[Batch]:
        """The training batches of an epoch, in random order."""
        for sampler in self._epoch_samplers:
            sampler.set_epoch(epoch)
        return self._batches(CombinedDataLoader(self._train, shuffle=True))

    def validation(self) -> Iterator[Batch]:
        """The validation batches, in order."""
        return self._batches(CombinedDataLoader(self._val, shuffle=False))

    def for_solve(self, is_shared: bool = True) -> Iterator["AllBatches"]:
        """The training and then the validation structures, in order, each once.

        :param is_shared: whether processes share them, or have all of them each.
        """
        count = self.processes.world_size if is_shared else 1
        for sources in (self._train_sources, self._val_sources):
            loaders: List[DataLoader] = []
            for source in sources:
                numbers = range(self.processes.rank % count, len(source.dataset), count)
                if count > 1:
                    part = Subset(source.dataset, numbers)
                    source = source._replace(dataset=part)
                loaders += self._in_order(source, None) if len(numbers) > 0 else []
            batches = self._batches(CombinedDataLoader(loaders, shuffle=False))
            yield AllBatches(batches, sum(len(source.dataset) for source in sources))

    def keep_geometry(self, model: ScalarTensor, has_gradients: bool) -> None:
        """Compute what does not change while training: :meth:`Cache.keep_geometry`."""
        self.cache.keep_geometry(model, has_gradients, self.hypers["batch_size"])

    def _in_order(
        self, source: "_Source", sampler: Optional[DistributedSampler]
    ) -> List[DataLoader]:
        """Loaders of all structures of a source, in order."""
        return build_val_dataloaders(
            [source.dataset],
            [sampler],
            source.collate_fn,
            self.hypers["batch_size"],
            self.hypers["max_atoms_per_batch"],
            source.num_workers,
        )

    def _sampler(self, dataset: Any, **kwargs: bool) -> Optional[DistributedSampler]:
        if not self.processes.is_distributed:
            return None
        return DistributedSampler(
            dataset, self.processes.world_size, self.processes.rank, **kwargs
        )

    def _source(self, dataset: Any) -> "_Source":
        """A prepared copy of the data set, or itself if the copy does not fit."""
        streamed = _Source(dataset, self.collate_fn, self.num_workers)
        if len(dataset) == 0 or self.cache.free_memory == 0:
            return streamed
        # one by one, since joined samples may lose the number of their structure
        [loader] = build_val_dataloaders(
            [dataset], [None], self.collate_fn, 1, None, self.num_workers
        )
        structures = ((self._unpack(packed), packed[0].numel()) for packed in loader)
        prepared = self.cache.prepare(structures, len(dataset))
        if prepared is None:
            logging.info(
                f"A dataset of {len(dataset)} structures does not fit into "
                f"'cache_memory': {self.num_workers} processes prepare it again in "
                "every epoch"
            )
            return streamed
        return _Source(prepared, prepared.take, 0)

    def _batches(self, loader: CombinedDataLoader) -> Iterator[Batch]:
        for batch in loader:
            yield batch if isinstance(batch, Batch) else self._unpack(batch)

    def _unpack(self, packed: Any) -> Batch:
        systems, targets, extra = batch_to(
            *unpack_batch(packed), dtype=self.dtype, device=self.processes.device
        )
        targets = average_by_num_atoms(
            targets, systems, self.hypers["per_structure_targets"]
        )
        return Batch(systems, targets, extra)


class AllBatches(NamedTuple):
    """Data in order, or the part of this process."""

    batches: Iterator[Batch]
    num_structures: int
    """Of all processes"""


class _Source(NamedTuple):
    """Arguments of a data loader."""

    dataset: Any
    collate_fn: Callable
    num_workers: int
