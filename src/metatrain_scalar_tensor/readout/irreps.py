"""The irreducible tensors in the blocks of targets."""

from typing import List, NamedTuple, Optional

import torch
from metatrain.utils.data import TargetInfo

from ..documentation import ModelHypers
from ..o3 import Irrep, cartesian_irreps, product_irreps


class TargetBlock(NamedTuple):
    """Irreps and shape of one block of a target."""

    irreps: List[Irrep]
    change_of_basis: Optional[torch.Tensor]
    """From the stacked components of the irreps to those of the block,
    ``(Σ (2λ + 1), ...)``; ``None`` if they are the same."""
    shape: List[int]
    """Lengths of the component axes."""
    num_properties: int
    has_charges: bool
    """Whether charges times positions are added"""


def center_of(info: TargetInfo) -> str:
    """What a target is predicted for: ``atom_pair``, or ``atom``.

    Targets of structures are sums over their atoms.

    :param info: the target.
    """
    return "atom_pair" if info.sample_kind == "atom_pair" else "atom"


def target_blocks(
    name: str, info: TargetInfo, hypers: ModelHypers
) -> List[TargetBlock]:
    """The irreducible tensors in every block of a target.

    :param name: name of the target, for the error messages.
    :param info: the target, in dense form for atomic-basis targets.
    :param hypers: hyperparameters of the model, which have the symmetry of Cartesian
        indices, and the targets to which charges times positions are added.
    :raises ValueError: if there is a symmetry of indices, but no Cartesian index, or if
        there are charges, but the target is not a vector of whole structures.
    """
    symmetry = hypers["index_symmetry"].get(name)
    has_charges = name in hypers["charges"]
    if symmetry is not None and not info.is_cartesian:
        raise ValueError(
            f"target '{name}' has no Cartesian indices: take it out of "
            "'model.index_symmetry'"
        )
    blocks: List[TargetBlock] = []
    for key, block in info.layout.items():
        rank = len(block.components)
        change_of_basis: Optional[torch.Tensor] = None
        if info.is_scalar:
            irreps = [Irrep(0, 1)]
        elif info.is_cartesian:
            irreps, change_of_basis = cartesian_irreps(rank, symmetry)
        elif rank == 1:
            irreps = [Irrep(int(key["o3_lambda"]), int(key["o3_sigma"]))]
        else:  # 'product: cartesian'
            first, second = [
                Irrep(int(key[f"o3_lambda_{i}"]), int(key[f"o3_sigma_{i}"]))
                for i in (1, 2)
            ]
            irreps, change_of_basis = product_irreps(first, second)
        shape = [len(component) for component in block.components]
        blocks.append(
            TargetBlock(
                irreps, change_of_basis, shape, len(block.properties), has_charges
            )
        )
    if has_charges and (
        info.sample_kind != "system" or [b.irreps for b in blocks] != [[Irrep(1, 1)]]
    ):
        raise ValueError(
            f"target '{name}' is not a vector of whole structures, to which charges "
            "times positions could be added: take it out of 'model.charges'"
        )
    return blocks
