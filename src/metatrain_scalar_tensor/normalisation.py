"""Sizes taken from data, to divide by: what symmetry makes zero must stay zero."""

from typing import Callable, Iterable, List, Sequence

import torch

from .structures import Structures


RELATIVE_FLOOR = 3e-2  # of root mean squares; chosen in docs/theory.md


def with_floor(sizes: torch.Tensor, floor: float = RELATIVE_FLOOR) -> torch.Tensor:
    """Sizes of several quantities of one kind that are safe to divide by.

    Symmetry makes some of them zero, up to rounding: odd ``l`` in a perfect crystal,
    say. Divided by their own size, they would be noise of size one.

    :param sizes: root mean squares, not negative.
    :param floor: smallest size that is left, relative to the largest one.
    :return: likewise; ones if all sizes are zero.
    """
    largest = sizes.max()
    return torch.where(largest > 0, sizes.clamp(min=floor * largest), 1.0)


def root_mean_squares(
    batches: Iterable[Structures],
    quantities: Callable[[Structures], Sequence[torch.Tensor]],
) -> torch.Tensor:
    """Sizes of some quantities over structures, with the floor of :func:`with_floor`.

    :param batches: the structures, some at a time.
    :param quantities: the quantities of some structures, in any shapes.
    :return: a size for every quantity, in float64.
    """
    sums: List[torch.Tensor] = []
    counts: List[torch.Tensor] = []
    for batch in batches:
        values = quantities(batch)
        sums.append(torch.stack([x.double().pow(2).sum() for x in values]))
        counts.append(torch.tensor([x.numel() for x in values]).to(sums[-1]))
    mean_squares = torch.stack(sums).sum(0) / torch.stack(counts).sum(0).clamp(min=1.0)
    return with_floor(mean_squares.sqrt())
