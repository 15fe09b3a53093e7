"""The last weights of a head, as columns of numbers."""

from typing import Any, List, NamedTuple, Optional

import torch


class Place(NamedTuple):
    """Where the weights of one irrep are."""

    head: Any
    """The head of the target"""
    block: int
    """Number of the block"""
    irrep: int
    """Number of the irrep in the block"""
    kind: int
    """Number of the kind of centers, 0 if all have the same coefficients"""

    @property
    def num_components(self) -> int:
        """The number of components of the irrep."""
        return self.head.blocks[self.block].num_components[self.irrep]


def _views(place: Place, member: Optional[int]) -> List[torch.Tensor]:
    """The weights of an irrep: of each tensor, and of each type in the linear term.

    :param place: where they are.
    :param member: member of the ensemble, whose differences from the weights to take;
        ``None`` for the weights.
    :return: views of parameters, ``(parts, properties, inputs)``
    """
    head, block = place.head, place.head.blocks[place.block]
    number = head.first_irreps[place.block] + place.irrep
    parts = head.coefficients.parts(_weights(head.coefficients, member))
    views = [parts[number][place.kind]]
    scalars, size = block.scalars.tolist(), block.num_properties
    position = sum(block.num_components[: place.irrep])
    if block.linear is not None and position in scalars:
        start = scalars.index(position) * size
        weight = _weights(block.linear, member)
        if head.coefficients.num_kinds > 1:
            weight = weight[place.kind : place.kind + 1]
        views.append(weight[:, start : start + size])
    return views


def _weights(module: Any, member: Optional[int]) -> torch.Tensor:
    """The weights of a module, or a member of its ensemble."""
    return module.weight if member is None else module.members.differences[member]


@torch.no_grad()
def get_weights(place: Place, properties: torch.Tensor) -> torch.Tensor:
    """The weights of some properties of an irrep, in float64 on the CPU.

    :return: ``(parts · inputs, properties)``
    """
    parts = [view[:, properties].transpose(1, 2) for view in _views(place, None)]
    return torch.cat([part.flatten(0, 1) for part in parts]).double().cpu()


@torch.no_grad()
def set_weights(
    place: Place,
    properties: torch.Tensor,
    weights: torch.Tensor,
    member: Optional[int] = None,
) -> None:
    """Change these weights.

    :param weights: as returned by :func:`get_weights`.
    :param member: member of the ensemble, of which they are differences from the
        weights; by default change the weights themselves.
    """
    views = _views(place, member)
    sizes = [len(view) * view.shape[2] for view in views]
    for view, part in zip(views, weights.split(sizes), strict=True):
        new = part.reshape(len(view), view.shape[2], len(properties))
        view[:, properties] = new.transpose(1, 2).to(view)


@torch.no_grad()
def scale_members(place: Place, factors: torch.Tensor) -> None:
    """Multiply the members of an ensemble.

    :param factors: for every property of the block, ``(properties,)``
    """
    for member in range(place.head.num_members()):
        for view in _views(place, member):
            view *= factors.to(view).unsqueeze(1)
