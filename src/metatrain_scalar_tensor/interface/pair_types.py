"""Pairs of types that the data lack, for which nothing can be learned."""

import itertools
import logging
from typing import Any, List, Set

import torch
from ase.data import chemical_symbols

from .architecture import ScalarTensor
from .sources import Datasets


@torch.no_grad()
def zero_unseen_pairs(model: ScalarTensor, name: str, datasets: Datasets) -> None:
    """Let a target of pairs be zero for pairs of types that the data lack, and say so.

    They have coefficients of their own, which would stay random.

    :param model: the model, with the target.
    :param name: the target.
    :param datasets: training sets.
    """
    head: Any = model.model.heads()[name]
    num_kinds = head.coefficients.num_kinds
    if num_kinds == 1:
        return
    seen = _seen_kinds(model, name, datasets)
    if head.exchange is not None:
        seen |= {_opposite(kind, len(model.atomic_types)) for kind in seen}
    linear = [block.linear for block in head.blocks if block.linear is not None]
    lacking: List[str] = []
    for kind in sorted(set(range(num_kinds)) - seen):
        for module in (head.coefficients, *linear):
            module.weight.unflatten(0, [num_kinds, -1])[kind] = 0.0
        symbols = [
            chemical_symbols[model.atomic_types[i]]
            for i in divmod(kind, len(model.atomic_types))
        ]
        lacking.append("-".join(symbols))
    if len(lacking) > 0:
        logging.warning(
            f"the training set has no values of '{name}' for the pairs "
            f"{', '.join(lacking)}: predictions for these are zero"
        )


def _opposite(kind: int, num_types: int) -> int:
    """The kind of the same pair in the other order."""
    first, second = divmod(kind, num_types)
    return num_types * second + first


def _seen_kinds(model: ScalarTensor, name: str, datasets: Datasets) -> Set[int]:
    """The kinds of the pairs in the data."""
    atom_pairs: Any = model.model.atom_pairs
    seen: Set[int] = set()
    samples: Any = itertools.chain.from_iterable(datasets)  # type: ignore[arg-type]
    for sample in samples:
        if name in sample._fields:
            types = model.read.types(
                [sample.system.to(model.read.index_of_type.device)]
            ).cpu()
            for block in sample[name].blocks():
                first, second = (
                    types[block.samples.column(f"{which}_atom").to(torch.int64)]
                    for which in ("first", "second")
                )
                seen |= set(atom_pairs.kinds_of(first, second).tolist())
    return seen
