"""Targets of pairs of atoms, for all pairs and in the order of the model."""

from typing import Any, Callable, Dict, List, Tuple

import torch
from metatensor.torch import TensorMap
from metatomic.torch import NeighborListOptions, System
from metatrain.utils.data import TargetInfo
from metatrain.utils.data.atomic_basis_helpers import pad_samples_atomic_basis_target


Tensors = Dict[str, TensorMap]
Transform = Callable[
    [List[System], Tensors, Tensors], Tuple[List[System], Tensors, Tensors]
]


def _system_ids(
    name: str, target: TensorMap, systems: List[System], extra: Tensors
) -> torch.Tensor:
    """The number of each structure in the samples of the target."""
    if "mtt::aux::system_index" in extra:
        return extra["mtt::aux::system_index"][0].values[:, 0].to(torch.int64)
    # structures are joined in order, each with its own number
    ids = torch.unique_consecutive(target.block(0).samples.column("system"))
    if len(ids) == 0:
        return torch.arange(len(systems))
    if len(ids) != len(systems):
        raise ValueError(
            f"target '{name}' has pairs of {len(ids)} of {len(systems)} structures, "
            "without their numbers: put structures without pairs into a separate "
            "dataset, or write the whole dataset with metatrain's DiskDatasetWriter"
        )
    return ids


def get_pair_targets_transform(
    targets_info: Dict[str, TargetInfo], neighbor_list: NeighborListOptions
) -> Transform:
    """A transform for metatrain's collate function that sorts targets of pairs.

    It brings them into the order of a neighbor list. Missing pairs become NaN, which
    the loss leaves out; pairs beyond the cutoff are dropped. For atomic-basis targets,
    metatrain's own transform does this.

    :param targets_info: all targets.
    :param neighbor_list: the neighbor list of the model's pairs.
    :return: the transform; it raises a ValueError if values can't be assigned to
        structures.
    """
    names = [
        name
        for name, info in targets_info.items()
        if info.sample_kind == "atom_pair" and not info.is_atomic_basis
    ]

    def transform(
        systems: List[System], targets: Tensors, extra: Tensors
    ) -> Tuple[List[System], Tensors, Any]:
        for name in set(names).intersection(targets):
            ids = _system_ids(name, targets[name], systems, extra)
            targets[name] = pad_samples_atomic_basis_target(
                systems, targets[name], ids, neighbor_list
            )
        return systems, targets, extra

    return transform
