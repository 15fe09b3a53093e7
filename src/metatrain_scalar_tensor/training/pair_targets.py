"""Targets of pairs of atoms, as the model predicts them: for all pairs in its order."""

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
    """The number by which the target calls each of the structures."""
    if "mtt::aux::system_index" in extra:
        return extra["mtt::aux::system_index"][0].values[:, 0].to(torch.int64)
    # joined one after the other, each with its own number
    ids = torch.unique_consecutive(target.block(0).samples.column("system"))
    if len(ids) == 0:
        return torch.arange(len(systems))
    if len(ids) != len(systems):
        raise ValueError(
            f"target '{name}' has pairs of {len(ids)} of {len(systems)} structures, "
            "and does not tell of which: give a structure without pairs in a dataset "
            "of its own, or write all of it with metatrain's DiskDatasetWriter"
        )
    return ids


def get_pair_targets_transform(
    targets_info: Dict[str, TargetInfo], neighbor_list: NeighborListOptions
) -> Transform:
    """A transform that brings targets of pairs into the order of a neighbor list.

    Pairs that the data lack are NaN, which the loss leaves out; pairs further apart
    than the neighbor list reaches are dropped. Those of an atomic basis are brought
    into this form by metatrain's own transform.

    :param targets_info: all targets.
    :param neighbor_list: that of the model's pairs, which the structures have.
    :return: the transform, for metatrain's collate function; it raises a ValueError if
        structures and values can't be told which belong together.
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
