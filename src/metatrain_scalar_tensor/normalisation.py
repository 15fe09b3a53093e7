"""Sizes of quantities in the data, safe to divide by where symmetry makes them zero."""

from typing import Callable, Iterable, List, Sequence

import torch

from .structures import Structures


RELATIVE_FLOOR = 3e-2  # for root mean squares; docs/theory.md has the reasons


def with_floor(sizes: torch.Tensor, floor: float = RELATIVE_FLOOR) -> torch.Tensor:
    """Raise small sizes to a floor, to make them safe to divide by.

    Symmetry makes some quantities zero up to rounding, such as odd ``l`` in a perfect
    crystal. Divided by their own size, they would become noise of order one.

    :param sizes: root mean squares of quantities of one kind, not negative.
    :param floor: smallest allowed size, relative to the largest one.
    :return: the sizes, in the same shape; ones if all sizes are zero.
    """
    largest = sizes.max()
    return torch.where(largest > 0, sizes.clamp(min=floor * largest), 1.0)


def root_mean_squares(
    batches: Iterable[Structures],
    quantities: Callable[[Structures], Sequence[torch.Tensor]],
) -> torch.Tensor:
    """Root mean squares of quantities, with the floor of :func:`with_floor`.

    :param batches: structures, in batches.
    :param quantities: computes the quantities of a batch, tensors of any shape.
    :return: one size for each quantity, in float64.
    """
    sums: List[torch.Tensor] = []
    counts: List[torch.Tensor] = []
    for batch in batches:
        values = quantities(batch)
        sums.append(torch.stack([x.double().pow(2).sum() for x in values]))
        counts.append(torch.tensor([x.numel() for x in values]).to(sums[-1]))
    mean_squares = torch.stack(sums).sum(0) / torch.stack(counts).sum(0).clamp(min=1.0)
    return with_floor(mean_squares.sqrt())
