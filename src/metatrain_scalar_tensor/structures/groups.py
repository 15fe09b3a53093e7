"""Rows of tensors, grouped by the type of their center."""

from typing import List, NamedTuple

import torch


class Groups(NamedTuple):
    """Which rows belong together."""

    order: torch.Tensor
    """Indices of the rows, those of the first type first, ``(rows,)``"""
    counts: List[int]
    """Number of rows of every type"""


def group_by_type(types: torch.Tensor, num_types: int) -> Groups:
    """Find the rows of every type.

    :param types: index of the type of every row, ``(rows,)``
    :param num_types: number of types, including those that do not occur.
    """
    counts: List[int] = torch.bincount(types, minlength=num_types).tolist()
    return Groups(torch.argsort(types), counts)


def in_order(parts: List[torch.Tensor], groups: Groups) -> torch.Tensor:
    """Put what was computed for every type back into the order of the rows.

    :param parts: for every type ``(rows of it, n)``
    :param groups: the rows of every type.
    :return: ``(rows, n)``
    """
    sorted_rows = torch.cat(parts)
    return torch.empty_like(sorted_rows).index_copy(0, groups.order, sorted_rows)
