"""Sums over neighbors by batched matrix products."""

import torch


def sum_of_products(
    a: torch.Tensor, b: torch.Tensor, group: torch.Tensor, num_groups: int
) -> torch.Tensor:
    """Sum the outer products of two properties of edges over groups of edges.

    The edges are sorted into rows of equal length, one for each group, and every row is
    summed by a matrix product: nothing of the size edges × a × b is ever made.

    :param a: ``(edges, a)``
    :param b: ``(edges, b)``
    :param group: the group that every edge belongs to, ``(edges,)``
    :param num_groups: number of groups.
    :return: ``(groups, a, b)``
    """
    order = torch.argsort(group, stable=True)
    lengths = torch.bincount(group, minlength=num_groups)
    starts = lengths.cumsum(0) - lengths
    length = max(1, int(lengths.max()))
    place = torch.empty_like(group)  # of an edge within its row
    place[order] = torch.arange(len(group), device=group.device)
    slot = group * length + place - starts[group]
    a, b = _spread(a, slot, num_groups, length), _spread(b, slot, num_groups, length)
    return a.transpose(1, 2) @ b


def _spread(
    values: torch.Tensor, slot: torch.Tensor, num_rows: int, length: int
) -> torch.Tensor:
    """Put the values of every edge into its slot of a row; other slots are zero."""
    width = values.shape[1]
    rows = torch.zeros(
        [num_rows * length, width], dtype=values.dtype, device=values.device
    )
    return rows.index_copy_(0, slot, values).reshape(num_rows, length, width)
