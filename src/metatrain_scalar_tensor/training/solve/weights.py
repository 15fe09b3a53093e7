"""The last weights of a head, as columns of numbers."""

from typing import Any, List, Optional

import torch


def _views(block: Any, irrep: int, member: Optional[int]) -> List[torch.Tensor]:
    """The weights of an irrep: of each tensor, and of each type in the linear term.

    :param block: block of a head.
    :param irrep: number of the irrep.
    :param member: member of the ensemble, whose differences from the weights to take;
        ``None`` for the weights.
    :return: views of parameters, ``(parts, properties, inputs)``
    """
    linear, size = block.coefficients[irrep], block.num_properties
    weight = linear.weight
    if member is not None:
        weight = block.members[irrep].differences[member]
    views = [weight.view(-1, size, linear.in_features)]
    scalars = block.scalars.tolist()
    position = sum(block.num_components[:irrep])
    if block.linear is not None and position in scalars:
        start = scalars.index(position) * size
        weight = block.linear.weight
        if member is not None:
            weight = block.linear.members.differences[member]
        views.append(weight[:, start : start + size])
    return views


@torch.no_grad()
def get_weights(block: Any, irrep: int, properties: torch.Tensor) -> torch.Tensor:
    """The weights of some properties of an irrep, in float64 on the CPU.

    :return: ``(parts · inputs, properties)``
    """
    parts = [view[:, properties].transpose(1, 2) for view in _views(block, irrep, None)]
    return torch.cat([part.flatten(0, 1) for part in parts]).double().cpu()


@torch.no_grad()
def set_weights(
    block: Any,
    irrep: int,
    properties: torch.Tensor,
    weights: torch.Tensor,
    member: Optional[int] = None,
) -> None:
    """Change these weights.

    :param weights: as returned by :func:`get_weights`.
    :param member: member of the ensemble, of which they are differences from the
        weights; by default change the weights themselves.
    """
    views = _views(block, irrep, member)
    sizes = [len(view) * view.shape[2] for view in views]
    for view, part in zip(views, weights.split(sizes), strict=True):
        new = part.reshape(len(view), view.shape[2], len(properties))
        view[:, properties] = new.transpose(1, 2).to(view)
