"""Which weights a training changes."""

import logging
from typing import Any, List, Optional, Set

import torch

from ..documentation import FinetuneHypers
from ..model import ScalarTensor
from .checks import Datasets, targets_of_data


def choose_weights(
    model: ScalarTensor, datasets: Datasets, hypers: Optional[FinetuneHypers]
) -> None:
    """Decide which weights are to change: those ask for gradients.

    :param model: the model, which may know targets that the data do not have.
    :param datasets: training sets.
    :param hypers: how to fine-tune; ``None`` for a model that begins anew.
    """
    targets = targets_of_data(datasets, model.dataset_info)
    others = sorted(set(model.dataset_info.targets) - targets)
    if hypers is not None and hypers.get("method") == "heads":
        _keep_all_but(targets, model)
    elif len(others) > 0:
        logging.warning(
            f"the targets {others} of the trained model are not in the data: weights "
            "that they share with the others change, and their predictions get worse. "
            "If you still need them, train with their data too, or set 'method: heads' "
            "in 'finetune', with which they stay as they are"
        )


def _keep_all_but(targets: Set[str], model: ScalarTensor) -> None:
    """Only what these targets have for themselves is to change."""
    model.requires_grad_(False)
    part: Any  # atoms' and pairs' heads and tensors have the same names
    for part in (model, model.atom_pairs):
        if part is not None:
            for module in _only_used_by(targets, part):
                module.requires_grad_(True)


def _only_used_by(targets: Set[str], part: Any) -> List[torch.nn.Module]:
    """Heads of these targets, and the tensors that no other target uses."""
    heads = [head for name, head in part.heads.items() if name in targets]
    used_by_others = {
        symmetry
        for name, head in part.heads.items()
        if name not in targets
        for symmetry in head.basis_names
    }
    bases = part.bases.of_symmetry
    own = [basis for name, basis in bases.items() if name not in used_by_others]
    if part.bases.products is not None and not any(
        bases[name].uses_products for name in used_by_others
    ):
        own.append(part.bases.products)
    return [*heads, *own]
