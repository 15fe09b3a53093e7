"""The layout of padded neighbor lists: a row per center, a place per neighbor."""

from typing import List, NamedTuple

import torch


class Rows(NamedTuple):
    """The places of all edges in the flattened table."""

    place: torch.Tensor  # (edges,)
    num_rows: int
    num_places: List[int]  # number of places in a row for neighbors of each type


def sort_into_rows(
    center: torch.Tensor, neighbor_type: torch.Tensor, num_centers: int, num_types: int
) -> Rows:
    """Assign a place to each edge, with neighbors of one type next to each other.

    For each type, all rows have as many places as the center with most neighbors needs.

    :param center: index of the center of each edge, ``(edges,)``
    :param neighbor_type: index of the type of its neighbor, ``(edges,)``
    :param num_centers: number of rows.
    :param num_types: number of types.
    """
    group = center * num_types + neighbor_type
    counts = torch.bincount(group, minlength=num_centers * num_types)
    order = torch.argsort(group, stable=True)
    number = torch.empty_like(group)  # number of an edge within its group
    number[order] = torch.arange(len(group), device=group.device)
    number = number - (counts.cumsum(0) - counts)[group]
    most = counts.reshape(num_centers, num_types).amax(0)  # (types,)
    num_places: List[int] = most.tolist()
    first_place = (most.cumsum(0) - most)[neighbor_type]  # within a row
    place = center * sum(num_places) + first_place + number
    return Rows(place, num_centers, num_places)


def spread(values: torch.Tensor, rows: Rows) -> torch.Tensor:
    """Put the values of each edge into its place; empty places are zero.

    :param values: ``(edges, properties)``
    :param rows: the places.
    :return: ``(rows, places, properties)``
    """
    length, width = sum(rows.num_places), values.shape[1]
    table = torch.zeros(
        [rows.num_rows * length, width], dtype=values.dtype, device=values.device
    )
    table = table.index_copy_(0, rows.place, values)
    return table.reshape(rows.num_rows, length, width)
