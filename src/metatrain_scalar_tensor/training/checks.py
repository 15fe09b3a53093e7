"""Looking at the data before any time is spent on them."""

import logging
from typing import Any, Dict, List, Set, Union

import torch
from metatensor.torch import TensorMap
from metatomic.torch import System
from metatrain.utils.data import Dataset, DatasetInfo

from ..o3 import cartesian_irreps


Datasets = List[Union[Dataset, torch.utils.data.Subset]]

MAX_PAIRS = 10**8  # of neighbors in a structure; each takes about 1 kB


def check_datasets(
    train_datasets: Datasets,
    val_datasets: Datasets,
    info: DatasetInfo,
    index_symmetry: Dict[str, str],
    cutoff: float,
) -> None:
    """Refuse structures and targets from which nothing can be learned.

    A NaN is fine: it stands for a missing value and is left out of the loss. So is a
    target that only the model has, from an earlier training.

    :param train_datasets: training sets.
    :param val_datasets: validation sets.
    :param info: atomic types and targets of the model.
    :param index_symmetry: Cartesian targets with symmetric indices.
    :param cutoff: the largest cutoff of the model.
    :raises ValueError: for structures without atoms, with types that the model does not
        know or with more neighbors than fit into memory, for targets of the wrong
        shape, for infinite values, and for targets without any value in the training
        set. The message says where.
    """
    known_types = set(info.atomic_types)
    targets = {
        name: info.targets[name]
        for name in sorted(targets_of_data(train_datasets + val_datasets, info))
    }
    bases_of = {
        name: cartesian_irreps(len(info.targets[name].component_labels[0]), symmetry)[1]
        for name, symmetry in index_symmetry.items()
        if name in targets
    }
    for part, datasets in (("training", train_datasets), ("validation", val_datasets)):
        num_values = dict.fromkeys(targets, 0)
        dataset: Any  # torch's Subset does not say that it can be iterated over
        for dataset in datasets:
            for i, sample in enumerate(dataset):
                where = f"structure {_source_index(dataset, i)} of the {part} data"
                types = set(sample["system"].types.tolist())
                if len(types) == 0:
                    raise ValueError(f"{where} has no atoms: take it out of the data")
                if not types <= known_types:
                    raise ValueError(
                        f"{where} has atoms of the types {sorted(types - known_types)},"
                        f" and the model is for {info.atomic_types}: add them to "
                        "'atomic_types' of a new model, or take the structure out"
                    )
                _check_neighbors(where, sample["system"], cutoff)
                for name, target in targets.items():
                    if name in sample._fields:
                        num_values[name] += _check_target(
                            f"target '{name}' of {where}", sample[name], target.layout
                        )
                        if name in bases_of:
                            _check_symmetry(
                                f"target '{name}' of {where}",
                                sample[name].block().values,
                                bases_of[name],
                                index_symmetry[name],
                            )
        _check_number_of_values(part, num_values)


def targets_of_data(datasets: Datasets, info: DatasetInfo) -> Set[str]:
    """The targets that a dataset has; the model may have others when it goes on.

    :param datasets: data sets, training or validation.
    :param info: targets of the model.
    """
    filled: Any = [dataset for dataset in datasets if len(dataset) > 0]
    # all samples of a dataset have the same fields
    fields = {name for dataset in filled for name in dataset[0]._fields}
    return fields & set(info.targets)


def _source_index(dataset: Any, i: int) -> int:
    """Number of a structure in the file that it was read from."""
    while isinstance(dataset, torch.utils.data.Subset):
        dataset, i = dataset.dataset, dataset.indices[i]
    return i


def _check_neighbors(where: str, system: System, cutoff: float) -> None:
    """Check that the pairs of neighbors fit into memory, by an estimate."""
    if not system.pbc.any():  # no more pairs than there are in the data
        return
    cell = system.cell[system.pbc]
    # 1 / distance between the planes that bound the cell
    per_length = torch.linalg.pinv(cell).norm(dim=0)
    # cells in a box of twice the cutoff, less than one if they are large
    num_cells = float((2.0 * cutoff * per_length).prod())
    num_pairs = 0.5 * len(system) ** 2 * num_cells
    if num_pairs > MAX_PAIRS:
        raise ValueError(
            f"{where} has about {num_pairs:.0e} pairs of neighbors within the cutoff "
            f"of {cutoff:g}, which take about {num_pairs / 1e6:.1e} GB: reduce "
            "'radius' of 'model.expansion.cutoff' or 'cutoff' of 'model.atom_pairs', "
            "or take the structure out of the data"
        )


def _check_target(what: str, target: TensorMap, layout: TensorMap) -> int:
    """Check one target of one structure, and return how many values it has."""
    num_values = 0
    for key, block in target.items():
        shape = tuple(block.values.shape[1:])
        if key not in layout.keys:
            raise ValueError(f"{what} has a block {key.print()} that was not declared")
        expected = tuple(layout.block(key).values.shape[1:])
        if shape != expected:
            raise ValueError(
                f"{what} has values of shape {shape} where {expected} was declared "
                "(components, then properties)"
            )
        if torch.isinf(block.values).any():
            raise ValueError(
                f"{what} has infinite values: write NaN for those that are missing, "
                "they are left out of the loss"
            )
        num_values += int(block.values.isfinite().sum())
    return num_values


def _check_symmetry(
    what: str, values: torch.Tensor, basis: torch.Tensor, symmetry: str
) -> None:
    """Check that tensors are spanned by those that have a symmetry, but for noise."""
    tensors = values.flatten(1, -2)  # (samples, 3 · 3 · ..., properties)
    basis = basis.flatten(1).to(tensors)
    rest = tensors - basis.T @ (basis @ tensors)
    if rest.norm() > 0.01 * tensors.norm():  # not so where values are missing
        raise ValueError(
            f"{what} has not the symmetry {symmetry} that 'model.index_symmetry' says: "
            f"{rest.norm() / tensors.norm():.0%} of it are something else. Symmetrise "
            "the data, or take the target out there"
        )


def _check_number_of_values(part: str, num_values: Dict[str, int]) -> None:
    for name, number in num_values.items():
        if number == 0:
            message = f"target '{name}' has no value in the {part} set, or only NaN"
            if part == "training":
                raise ValueError(f"{message}: nothing can be learned")
            logging.warning(f"{message}: it does not take part in model selection")
