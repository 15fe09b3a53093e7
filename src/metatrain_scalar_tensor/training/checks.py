"""Checks of the data before the training."""

import logging
from functools import partial
from typing import Any, Dict, List, Set, Tuple

import torch
from metatensor.torch import TensorMap
from metatomic.torch import NeighborListOptions, System
from metatrain.utils.data import DatasetInfo, TargetInfo
from metatrain.utils.neighbor_lists import get_system_with_neighbor_lists

from ..interface.architecture import ScalarTensor
from ..interface.gradients import unite_gradients
from ..interface.intensive import check_intensive, has_volume
from ..interface.sources import Datasets, Part, Sources
from ..o3 import cartesian_irreps
from ..structures import closest_distance, is_finite
from ..system_inputs import is_possible
from .exchange_check import check_exchange


MAX_PAIRS = 10**8  # entries in the neighbor list of a structure, each about 1 kB


def check_data(
    model: ScalarTensor,
    train_datasets: Datasets,
    val_datasets: Datasets,
    sources: Sources,
) -> None:
    """Check the data, and complete the model's description of their gradients.

    :param model: the model; its targets get the gradients that any data set has.
    :param train_datasets: training sets.
    :param val_datasets: validation sets.
    :param sources: the files of the data sets.
    :raises ValueError: as :func:`check_datasets`, if requested gradients or inputs are
        missing, for intensive targets that can't be, and for matrices without the
        symmetry of their model.
    """
    targets, intensive = model.dataset_info.targets, model.hypers["intensive"]
    check_inputs(model.hypers["system_inputs"], train_datasets, val_datasets, sources)
    unite_gradients(targets, train_datasets, val_datasets, sources)
    for name in intensive:
        check_intensive(name, targets[name])
    check_datasets(
        train_datasets,
        val_datasets,
        model.dataset_info,
        model.hypers["index_symmetry"],
        cutoff=max(options.cutoff for options in model.requested_neighbor_lists()),
        sources=sources,
    )
    part: Part
    for part, datasets in (("training", train_datasets), ("validation", val_datasets)):
        _check_volumes(part, datasets, intensive, sources)
        check_exchange(model, part, datasets, sources)


def check_inputs(
    names: List[str],
    train_datasets: Datasets,
    val_datasets: Datasets,
    sources: Sources,
) -> None:
    """Refuse structures without the inputs of the model, and warn of constant ones.

    :param names: the inputs.
    :param train_datasets: training sets.
    :param val_datasets: validation sets.
    :param sources: the files of the data sets.
    :raises ValueError: if a value is missing or impossible. The message says where.
    """
    if len(names) == 0:
        return
    part: Part
    for part, datasets in (("training", train_datasets), ("validation", val_datasets)):
        values: Dict[str, Set[float]] = {name: set() for name in names}
        for number, dataset in enumerate(datasets):
            for i, sample in enumerate(dataset):
                where = sources.structure(part, number, dataset, i)
                for name in names:
                    values[name].add(_check_input(name, where, sample))
        for name, of_name in values.items():
            if part == "training" and len(of_name) == 1:
                logging.warning(
                    f"all structures of the training set have the '{name}' "
                    f"{of_name.pop():g}: predictions for other values mean nothing"
                )


def check_datasets(
    train_datasets: Datasets,
    val_datasets: Datasets,
    info: DatasetInfo,
    index_symmetry: Dict[str, str],
    cutoff: float,
    sources: Sources,
) -> None:
    """Refuse structures and targets from which nothing can be learned.

    NaN is allowed: it stands for a missing value, which the loss leaves out. Targets of
    an earlier training may be missing altogether.

    :param train_datasets: training sets.
    :param val_datasets: validation sets.
    :param info: atomic types and targets of the model.
    :param index_symmetry: Cartesian targets with symmetric indices.
    :param cutoff: the largest cutoff of the model.
    :param sources: the files of the data sets.
    :raises ValueError: for structures without atoms, with unknown types, with NaN or
        infinite positions, with atoms on top of each other, with a cell without volume,
        or with more neighbors than fit into memory; for targets with the wrong shape or
        without their symmetry, with infinite values, or without any value in the
        training set. The message says where.
    """
    known_types = set(info.atomic_types)
    targets = {
        name: info.targets[name]
        for name in sorted(targets_of_data(train_datasets + val_datasets, info))
    }
    closest = closest_distance(info.length_unit)
    part: Part
    for part, datasets in (("training", train_datasets), ("validation", val_datasets)):
        num_values = dict.fromkeys(targets, 0)
        symmetries = {
            name: _SymmetryCheck(info.targets[name], symmetry)
            for name, symmetry in index_symmetry.items()
            if name in targets
        }
        for number, dataset in enumerate(datasets):
            for i, sample in enumerate(dataset):
                where = partial(sources.structure, part, number, dataset, i)
                system = sample["system"]
                types = set(system.types.tolist())
                if len(types) == 0:
                    raise ValueError(f"{where()} has no atoms: take it out of the data")
                if not types <= known_types:
                    raise ValueError(
                        f"{where()} has atoms of the types "
                        f"{sorted(types - known_types)}, and the model is for "
                        f"{info.atomic_types}: add them to 'atomic_types' of a new "
                        "model, or take the structure out"
                    )
                _check_geometry(where(), system, closest, info.length_unit)
                _check_neighbors(where(), system, cutoff)
                for name, target in targets.items():
                    if name in sample._fields:
                        what = f"target '{name}' of {where(name)}"
                        num_values[name] += _check_target(
                            what, sample[name], target, len(system)
                        )
                        if name in symmetries:
                            symmetries[name].add(what, sample[name].block().values)
        for check in symmetries.values():
            check.finish()
        _check_number_of_values(part, num_values)


def targets_of_data(datasets: Datasets, info: DatasetInfo) -> Set[str]:
    """The targets that the data have; a trained model may have others."""
    filled: Any = [dataset for dataset in datasets if len(dataset) > 0]
    # all samples of a dataset have the same fields
    fields = {name for dataset in filled for name in dataset[0]._fields}
    return fields & set(info.targets)


def _check_input(name: str, where: str, sample: Any) -> float:
    """Check an input of one structure, and return it."""
    if name not in sample._fields:
        raise ValueError(
            f"{where} has no '{name}', which 'system_inputs' of the model asks for: "
            f"add {name}: {{key: {name}}} to the 'extra_data' of this data set"
        )
    value = sample[name].block().values.flatten()
    if not is_possible(name, value):
        raise ValueError(
            f"{where} has the '{name}' {value.tolist()}: one finite number is "
            "expected, and for a multiplicity, 2S + 1, one that is at least 1. A "
            "neutral structure without unpaired electrons has the charge 0 and the "
            "multiplicity 1"
        )
    return float(value)


def _check_geometry(
    where: str, system: System, closest: float, length_unit: str
) -> None:
    """Check for non-finite positions, cells without volume, and overlapping atoms."""
    if not is_finite(system):
        raise ValueError(
            f"{where} has NaN or infinite values in its positions or cell: correct the "
            "structure, or take it out of the data"
        )
    lattice_vectors = system.cell[system.pbc]
    if len(lattice_vectors) > 0 and torch.linalg.svdvals(lattice_vectors).min() == 0:
        raise ValueError(
            f"{where} is periodic, and its cell has no volume: give the cell, or set "
            "'pbc' to F"
        )
    # a short cutoff, for which neighbor lists are fast
    options = NeighborListOptions(cutoff=20 * closest, full_list=False, strict=True)
    alone = System(system.types, system.positions, system.cell, system.pbc)
    pairs = get_system_with_neighbor_lists(alone, [options]).get_neighbor_list(options)
    distances = pairs.values.flatten(1).norm(dim=1)
    if len(distances) > 0 and distances.min() < closest:
        i, j = pairs.samples.values[distances.argmin(), :2].tolist()
        raise ValueError(
            f"{where} has atoms {i} and {j} at a distance of {distances.min():.3g} "
            f"{length_unit}, and less than {closest:.3g} is refused: correct the "
            "structure, or take it out of the data"
        )


def _check_neighbors(where: str, system: System, cutoff: float) -> None:
    """Check by an estimate that the neighbor list fits into memory."""
    if not system.pbc.any():  # limited by the number of atoms
        return
    cell = system.cell[system.pbc]
    # inverse distances between opposite faces of the cell
    per_length = torch.linalg.pinv(cell).norm(dim=0)
    # number of cells in a box of twice the cutoff, below one for large cells
    num_cells = float((2.0 * cutoff * per_length).prod())
    num_pairs = 0.5 * len(system) ** 2 * num_cells
    if num_pairs > MAX_PAIRS:
        raise ValueError(
            f"{where} has about {num_pairs:.0e} pairs of neighbors within the cutoff "
            f"of {cutoff:g}, which take about {num_pairs / 1e6:.1e} GB: reduce "
            "'radius' of 'model.expansion.cutoff' or 'cutoff' of 'model.atom_pairs', "
            "or take the structure out of the data"
        )


def _check_volumes(
    part: Part, datasets: Datasets, intensive: Dict[str, str], sources: Sources
) -> None:
    """Check that structures with targets per volume have one."""
    per_volume = {name for name, kind in intensive.items() if kind == "volume"}
    if len(per_volume) == 0:  # the data need not be read once more
        return
    for number, dataset in enumerate(datasets):
        for i, sample in enumerate(dataset):
            system = sample["system"]
            for name in sorted(per_volume & set(sample._fields)):
                if not has_volume(system):
                    where = sources.structure(part, number, dataset, i, name)
                    raise ValueError(
                        f"target '{name}' of {where} is a property per volume "
                        "('model.intensive'), and this structure is periodic along "
                        f"{int(system.pbc.sum())} of three lattice vectors: correct "
                        "its cell and 'pbc', or take it out of the data"
                    )


def _check_target(
    what: str, tensor: TensorMap, target: TargetInfo, num_atoms: int
) -> int:
    """Check one target of one structure, and return its number of values."""
    num_values = 0
    expected_samples = {"system": 1, "atom": num_atoms}.get(target.sample_kind)
    for key, block in tensor.items():
        shape = tuple(block.values.shape[1:])
        if key not in target.layout.keys:
            raise ValueError(f"{what} has a block {key.print()} that was not declared")
        expected = tuple(target.layout.block(key).values.shape[1:])
        if shape != expected:
            raise ValueError(
                f"{what} has values of shape {shape} where {expected} was declared "
                "(components, then properties)"
            )
        is_dense = not target.is_atomic_basis
        if is_dense and expected_samples not in (None, len(block.samples)):
            raise ValueError(
                f"{what} has {len(block.samples)} values of shape {shape} where "
                f"{expected_samples} are expected, one for every {target.sample_kind}"
            )
        if torch.isinf(block.values).any():
            raise ValueError(
                f"{what} has infinite values: write NaN for missing values, which are "
                "left out of the loss"
            )
        num_values += int(block.values.isfinite().sum())
    return num_values


class _SymmetryCheck:
    """Checks that tensors have the symmetry of their indices, except for noise.

    The threshold for noise depends on the size of all tensors.
    """

    def __init__(self, target: TargetInfo, symmetry: str) -> None:
        rank = len(target.component_labels[0])
        self.basis = cartesian_irreps(rank, symmetry)[1].flatten(1)
        self.symmetry = symmetry
        self.found: List[Tuple[str, float, float]] = []  # name, rest, size of tensors

    def add(self, what: str, values: torch.Tensor) -> None:
        """Add the tensors of a structure, ``(samples, 3, 3, ..., properties)``."""
        tensors = values.flatten(1, -2)  # (samples, 3 · 3 · ..., properties)
        tensors = tensors[tensors.isfinite().flatten(1).all(1)]  # skip missing values
        basis = self.basis.to(tensors)
        rest = tensors - basis.T @ (basis @ tensors)
        for r, t in zip(rest, tensors):
            self.found.append((what, float(r.norm()), float(t.norm())))

    def finish(self) -> None:
        """Raise a ValueError for the first tensor without the symmetry."""
        typical = float(
            torch.tensor([size for _, _, size in self.found]).square().mean().sqrt()
        )
        for what, rest, size in self.found:
            if rest > 0.01 * max(size, typical):
                raise ValueError(
                    f"{what} has not the symmetry '{self.symmetry}' of "
                    f"'model.index_symmetry': {rest / size:.0%} of it violate this. "
                    "Take this part off the data, or the target out of that option"
                )


def _check_number_of_values(part: str, num_values: Dict[str, int]) -> None:
    for name, number in num_values.items():
        if number == 0:
            message = f"target '{name}' has no value in the {part} set, or only NaN"
            if part == "training":
                raise ValueError(f"{message}: nothing can be learned")
            logging.warning(f"{message}: it does not take part in model selection")
