"""Looking at the data before any time is spent on them."""

import logging
from functools import partial
from typing import Any, Dict, List, Set, Tuple

import torch
from metatensor.torch import TensorMap
from metatomic.torch import NeighborListOptions, System
from metatrain.utils.data import DatasetInfo, TargetInfo
from metatrain.utils.neighbor_lists import get_system_with_neighbor_lists

from ..documentation import TrainerHypers
from ..interface.architecture import ScalarTensor
from ..o3 import cartesian_irreps
from ..structures import closest_distance, is_finite
from .gradients import unite_gradients
from .sources import Datasets, Part, Sources


MAX_PAIRS = 10**8  # of neighbors in a structure; each takes about 1 kB


def check_hypers(hypers: TrainerHypers) -> None:
    """Refuse hyperparameters that contradict each other.

    :param hypers: hyperparameters of the training.
    :raises ValueError: if they do.
    """
    if hypers["best_model_metric"] == "mae_prod" and not hypers["log_mae"]:
        raise ValueError(
            "'best_model_metric: mae_prod' needs 'log_mae: true', without which no "
            "mean absolute error is computed"
        )


def check_data(
    model: ScalarTensor,
    train_datasets: Datasets,
    val_datasets: Datasets,
    sources: Sources,
) -> None:
    """Look at the data, and complete what the model knows of them.

    :param model: the model, whose description of the targets gets the gradients that
        any of the data sets has.
    :param train_datasets: training sets.
    :param val_datasets: validation sets.
    :param sources: the files of the data sets.
    :raises ValueError: as :func:`check_datasets`, and for gradients that are asked for
        and missing.
    """
    unite_gradients(model.dataset_info.targets, train_datasets, val_datasets, sources)
    check_datasets(
        train_datasets,
        val_datasets,
        model.dataset_info,
        model.hypers["index_symmetry"],
        cutoff=max(options.cutoff for options in model.requested_neighbor_lists()),
        sources=sources,
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

    A NaN is fine: it stands for a missing value and is left out of the loss. So is a
    target that only the model has, from an earlier training.

    :param train_datasets: training sets.
    :param val_datasets: validation sets.
    :param info: atomic types and targets of the model.
    :param index_symmetry: Cartesian targets with symmetric indices.
    :param cutoff: the largest cutoff of the model.
    :param sources: the files of the data sets.
    :raises ValueError: for structures without atoms, with types that the model does not
        know, with NaN or infinite positions, with atoms on top of each other or with
        more neighbors than fit into memory, for targets of the wrong shape or without
        their symmetry, for infinite values, and for targets without any value in the
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
        dataset: Any  # torch's Subset does not say that it can be iterated over
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
    """The targets that a dataset has; the model may have others when it goes on.

    :param datasets: data sets, training or validation.
    :param info: targets of the model.
    """
    filled: Any = [dataset for dataset in datasets if len(dataset) > 0]
    # all samples of a dataset have the same fields
    fields = {name for dataset in filled for name in dataset[0]._fields}
    return fields & set(info.targets)


def _check_geometry(
    where: str, system: System, closest: float, length_unit: str
) -> None:
    """Check that positions and cell are numbers, and atoms at places of their own."""
    if not is_finite(system):
        raise ValueError(
            f"{where} has NaN or infinite values in its positions or cell: mend the "
            "structure, or take it out of the data"
        )
    lattice_vectors = system.cell[system.pbc]
    if len(lattice_vectors) > 0 and torch.linalg.svdvals(lattice_vectors).min() == 0:
        raise ValueError(
            f"{where} is periodic, and its cell has no volume: give the cell, or set "
            "'pbc' to F"
        )
    # with a cutoff for which neighbor lists are fast
    options = NeighborListOptions(cutoff=20 * closest, full_list=False, strict=True)
    alone = System(system.types, system.positions, system.cell, system.pbc)
    pairs = get_system_with_neighbor_lists(alone, [options]).get_neighbor_list(options)
    distances = pairs.values.flatten(1).norm(dim=1)
    if len(distances) > 0 and distances.min() < closest:
        i, j = pairs.samples.values[distances.argmin(), :2].tolist()
        raise ValueError(
            f"{where} has atoms {i} and {j} at a distance of {distances.min():.3g} "
            f"{length_unit}, and less than {closest:.3g} is refused: mend the "
            "structure, or take it out of the data"
        )


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


def _check_target(
    what: str, tensor: TensorMap, target: TargetInfo, num_atoms: int
) -> int:
    """Check one target of one structure, and return how many values it has."""
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
                f"{what} has infinite values: write NaN for those that are missing, "
                "they are left out of the loss"
            )
        num_values += int(block.values.isfinite().sum())
    return num_values


class _SymmetryCheck:
    """Checks that tensors are spanned by those that have a symmetry, but for noise.

    What counts as noise depends on the size of all tensors, not only of the one.

    :param target: a Cartesian target.
    :param symmetry: the symmetry of its indices.
    """

    def __init__(self, target: TargetInfo, symmetry: str) -> None:
        rank = len(target.component_labels[0])
        self.basis = cartesian_irreps(rank, symmetry)[1].flatten(1)
        self.symmetry = symmetry
        self.found: List[Tuple[str, float, float]] = []  # rest and size of each tensor

    def add(self, what: str, values: torch.Tensor) -> None:
        """Look at the tensors of a structure, ``(samples, 3, 3, ..., properties)``."""
        tensors = values.flatten(1, -2)  # (samples, 3 · 3 · ..., properties)
        tensors = tensors[tensors.isfinite().flatten(1).all(1)]  # no missing values
        basis = self.basis.to(tensors)
        rest = tensors - basis.T @ (basis @ tensors)
        for r, t in zip(rest, tensors):
            self.found.append((what, float(r.norm()), float(t.norm())))

    def finish(self) -> None:
        """Refuse the first tensor without the symmetry.

        :raises ValueError: if there is one.
        """
        typical = float(
            torch.tensor([size for _, _, size in self.found]).square().mean().sqrt()
        )
        for what, rest, size in self.found:
            if rest > 0.01 * max(size, typical):
                raise ValueError(
                    f"{what} has not the symmetry {self.symmetry} that "
                    f"'model.index_symmetry' says: {rest / size:.0%} of it are "
                    "something else. Symmetrise the data, or take the target out there"
                )


def _check_number_of_values(part: str, num_values: Dict[str, int]) -> None:
    for name, number in num_values.items():
        if number == 0:
            message = f"target '{name}' has no value in the {part} set, or only NaN"
            if part == "training":
                raise ValueError(f"{message}: nothing can be learned")
            logging.warning(f"{message}: it does not take part in model selection")
