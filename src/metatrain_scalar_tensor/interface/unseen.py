"""Types of atoms, or of pairs, that the data lack: nothing can be learned for them."""

import itertools
import logging
from typing import Any, List, Set

import torch
from ase.data import chemical_symbols

from .architecture import ScalarTensor
from .sources import Datasets


@torch.no_grad()
def zero_unseen_kinds(model: ScalarTensor, name: str, datasets: Datasets) -> None:
    """Let a target be zero for types that its data lack, and say so.

    That is for types of atoms or of pairs that have coefficients of their own, which
    would stay random.

    :param model: the model, with the target.
    :param name: the target.
    :param datasets: training sets.
    """
    head: Any = model.model.heads()[name]
    num_kinds = head.coefficients.num_kinds
    if num_kinds == 1:
        return
    is_of_pairs = model.dataset_info.targets[name].sample_kind == "atom_pair"
    seen = _seen_kinds(model, name, datasets, is_of_pairs)
    if is_of_pairs and head.exchange is not None:
        seen |= {_opposite(kind, len(model.atomic_types)) for kind in seen}
    linear = [block.linear for block in head.blocks if block.linear is not None]
    lacking: List[str] = []
    for kind in sorted(set(range(num_kinds)) - seen):
        for module in (head.coefficients, *linear):
            module.weight.unflatten(0, [num_kinds, -1])[kind] = 0.0
        types = divmod(kind, len(model.atomic_types)) if is_of_pairs else (kind,)
        symbols = [chemical_symbols[model.atomic_types[i]] for i in types]
        lacking.append("-".join(symbols))
    if len(lacking) > 0:
        logging.warning(
            f"the training set has no values of '{name}' for the "
            f"{'pairs' if is_of_pairs else 'types'} {', '.join(lacking)}: predictions "
            "for these are zero"
        )


def _opposite(kind: int, num_types: int) -> int:
    """The kind of the same pair in the other order."""
    first, second = divmod(kind, num_types)
    return num_types * second + first


def _seen_kinds(
    model: ScalarTensor, name: str, datasets: Datasets, is_of_pairs: bool
) -> Set[int]:
    """The kinds of the atoms or pairs in the data."""
    atom_pairs: Any = model.model.atom_pairs
    seen: Set[int] = set()
    samples: Any = itertools.chain.from_iterable(datasets)  # type: ignore[arg-type]
    for sample in samples:
        if name in sample._fields:
            types = model.read.types(
                [sample.system.to(model.read.index_of_type.device)]
            ).cpu()
            for block in sample[name].blocks():
                samples = block.samples
                if is_of_pairs:
                    atoms = [samples.column(f"{n}_atom") for n in ("first", "second")]
                    kinds = atom_pairs.kinds_of(*(types[i.long()] for i in atoms))
                else:
                    kinds = types[samples.column("atom").long()]
                seen |= set(kinds.tolist())
    return seen
