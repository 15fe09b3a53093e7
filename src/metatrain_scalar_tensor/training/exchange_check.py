"""Refuses matrices without the symmetry under exchange that their model has."""

from typing import Any, List

import torch
from metatensor.torch import TensorMap
from metatrain.utils.data.atomic_basis_helpers import densify_atomic_basis_target

from ..interface.architecture import ScalarTensor
from ..interface.sources import Datasets, Part, Sources


NUMBER = 10  # of structures of a data set: a wrong convention is wrong for all
TOLERANCE = 1e-3  # of elements, relative to the largest one of a structure


def check_exchange(
    model: ScalarTensor, part: Part, datasets: Datasets, sources: Sources
) -> None:
    """Compare matrices with their transposed ones, in the first structures.

    :param model: the model.
    :param part: which part of the data these are.
    :param datasets: the data.
    :param sources: the files of the data sets.
    :raises ValueError: if they differ. The message says where.
    """
    heads = model.model.heads()
    symmetric = {n: h.exchange for n, h in heads.items() if h.exchange is not None}
    for number, dataset in enumerate(datasets):
        for i in range(min(NUMBER, len(dataset))):
            sample = dataset[i]
            for name in sorted(set(symmetric) & set(sample._fields)):
                target, info = sample[name], model.dataset_info.targets[name]
                if info.is_atomic_basis:
                    target = densify_atomic_basis_target(target, info.layout)
                difference = asymmetry(target, symmetric[name])
                if difference > TOLERANCE:
                    where = sources.structure(part, number, dataset, i, name)
                    raise ValueError(
                        f"target '{name}' of {where} does not have the symmetry of its "
                        f"model under exchange: elements differ by {difference:.1%} of "
                        "the largest one. For matrices without a symmetry, set "
                        f"'model.exchange_symmetry' to {{{name}: none}}"
                    )


def asymmetry(target: TensorMap, exchange: Any) -> float:
    """The largest difference of an element from the exchanged one, if both are known.

    :param target: one structure, in dense form.
    :param exchange: the symmetry that it should have.
    :return: relative to the largest element; zero if none is known.
    """
    blocks = target.blocks()
    if sum(block.values.numel() for block in blocks) == 0:
        return 0.0
    # blocks may lack samples whose types do not have their shells
    samples = torch.cat([block.samples.values for block in blocks])
    samples = torch.unique(samples, dim=0)
    places = {tuple(sample): i for i, sample in enumerate(samples.tolist())}
    values: List[torch.Tensor] = []
    for block in blocks:
        rows = [places[tuple(sample)] for sample in block.samples.values.tolist()]
        shape = (len(samples), *block.values.shape[1:])
        values.append(torch.full(shape, torch.nan, dtype=torch.float64))
        values[-1][rows] = block.values.double()
    opposite, is_known = None, torch.ones(len(samples), dtype=torch.bool)
    if "first_atom" in blocks[0].samples.names:  # system, both atoms, cell shifts
        exchanged = torch.cat([samples[:, [0, 2, 1]], -samples[:, 3:]], dim=1)
        found = [places.get(tuple(pair), -1) for pair in exchanged.tolist()]
        opposite = torch.tensor(found, dtype=torch.int64).clamp(min=0)
        is_known = torch.tensor(found) >= 0
    differences: List[float] = []
    for x, y in zip(values, exchange.exchanged(values, opposite)):
        difference = (x - y)[is_known].abs().nan_to_num(nan=0.0)
        differences.append(float(difference.max()) if difference.numel() > 0 else 0.0)
    largest = max(float(x.abs().nan_to_num(nan=0.0).max()) for x in values if x.numel())
    return max(differences) / largest if largest > 0 else 0.0
