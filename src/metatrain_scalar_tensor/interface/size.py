"""The size of a model, before it is built."""

import math
from typing import Any, Dict

import torch
from metatrain.utils.data import DatasetInfo
from metatrain.utils.data.atomic_basis_helpers import densify_atomic_basis_dataset_info

from ..density import choose_species
from ..documentation import ModelHypers
from ..messages.receive import NUM_SETS
from ..model import Model
from ..readout import center_of, target_blocks


# generous: Adam stores four numbers for each weight, 16 GB in float64 at this limit
MAX_WEIGHTS = 500_000_000
MAX_RANK = 8  # of Cartesian tensors, whose change of basis has 9^rank numbers
MAX_PER_ATOM = 2**23  # numbers in memory, 64 MiB in float64; a batch has many atoms

FEWER_INVARIANTS = (
    "'max_angular' or 'max_radial' of 'model.expansion.basis'; with many atomic types, "
    "set 'type' of 'model.species' to tensor_reduced"
)
# hyperparameters that determine the number of weights in each part of the model
REMEDIES: Dict[str, str] = {
    "density": "'num_channels' of 'model.species'",
    "messages": "'channels', 'max_rank' or 'layers' of 'model.messages'",
    "network": f"'num_neurons_per_layer' of 'model.network', {FEWER_INVARIANTS}",
    "neighbor_sum": "'neighbors' of 'model.tensor_basis'",
    "functions": FEWER_INVARIANTS,
    "atom_pairs": "'num_channels' or 'num_functions' of 'model.atom_pairs'",
    "readouts": "'num_channels' or 'gradients' of 'model.tensor_basis', "
    "'num_neurons_per_layer' of 'model.network', or the properties of the targets; for "
    "pairs of many atomic types, set 'type' of 'model.species' to tensor_reduced",
}


def check_size(hypers: ModelHypers, info: DatasetInfo) -> None:
    """Refuse a model that is too large for any machine.

    The model is built without memory for its weights; the types of the hyperparameters
    limit its constants.

    :param hypers: hyperparameters of the model.
    :param info: atomic types and targets.
    :raises ValueError: if it is too large, with its size and what to reduce.
    """
    _check_memory(hypers, len(info.atomic_types))
    for name, target in info.targets.items():
        rank = len(target.layout.block(0).components)
        if target.is_cartesian and rank > MAX_RANK:
            raise ValueError(
                f"target '{name}' has rank {rank}, and Cartesian tensors of more than "
                f"{MAX_RANK} indices are refused: give it as a spherical target"
            )
    model = describe(hypers, info)
    sizes = {
        name: sum(weights.numel() for weights in part.parameters())
        for name, part in model.named_children()
    }
    total = sum(sizes.values())
    if total > MAX_WEIGHTS:
        largest = max(sizes, key=lambda name: sizes[name])
        raise ValueError(
            f"the model would have {total:.1e} weights, or {total * 8 / 2**30:.2g} GiB "
            f"in float64, and more than {MAX_WEIGHTS:.1e} are refused. Most of them, "
            f"{sizes[largest]:.1e}, belong to the {largest.replace('_', ' ')}: reduce "
            f"{REMEDIES[largest]}"
        )


def describe(hypers: ModelHypers, info: DatasetInfo) -> Model:
    """A model without memory for its weights, and without long-range features.

    :param hypers: hyperparameters of the model.
    :param info: atomic types and targets.
    """
    # torch-pme can't be built without memory
    short_range: Any = {**hypers, "long_range": {"enable": False}}
    targets = densify_atomic_basis_dataset_info(info).targets
    with torch.device("meta"):
        model = Model(short_range, info.atomic_types)
        for name, target in targets.items():
            blocks = target_blocks(name, target, hypers)
            is_atomic_basis = info.targets[name].is_atomic_basis
            model.add_target(name, center_of(target), blocks, None, is_atomic_basis)
    return model


def _check_memory(hypers: ModelHypers, num_types: int) -> None:
    """Refuse models that take too much memory per atom in a forward pass."""
    basis, messages = hypers["expansion"]["basis"], hypers["messages"]
    species = choose_species(hypers["species"], num_types)
    if species["type"] == "orthogonal":
        num_channels = num_types * (basis["radial"]["max_radial"] + 1)
        numbers = (basis["max_angular"] + 1) * num_channels**2
        if numbers > MAX_PER_ATOM:
            raise ValueError(
                f"the power spectrum would take {numbers:.1e} numbers for every atom, "
                f"and more than {MAX_PER_ATOM:.1e} are refused: reduce 'max_angular' "
                "or 'max_radial' of 'model.expansion.basis', or set 'type' of "
                "'model.species' to tensor_reduced, which does not grow with the "
                f"number of atomic types, {num_types}"
            )
    # outer products of sent tensors and harmonics
    ranks = [messages["max_rank"] + 1, basis["max_angular"] + 1]
    numbers = NUM_SETS * math.prod(n**2 for n in ranks)
    if messages["representation"] == "cartesian":
        numbers += math.prod((3**n - 1) // 2 for n in ranks)
    numbers *= messages["layers"] * messages["channels"]
    if numbers > MAX_PER_ATOM:
        raise ValueError(
            f"the messages would take {numbers:.1e} numbers for every atom, and more "
            f"than {MAX_PER_ATOM:.1e} are refused: reduce {REMEDIES['messages']}"
        )
