"""Edges in a table: a row for every center, and a place in it for every neighbor."""

from typing import List, NamedTuple

import torch


class Rows(NamedTuple):
    """Which place in the table every edge has."""

    place: torch.Tensor  # (edges,), in the flattened table
    num_rows: int
    num_places: List[int]  # in a row, for neighbors of each type


def sort_into_rows(
    center: torch.Tensor, neighbor_type: torch.Tensor, num_centers: int, num_types: int
) -> Rows:
    """Give every edge a place: neighbors of one type beside each other.

    :param center: index of the row of every edge, ``(edges,)``
    :param neighbor_type: index of the type of its neighbor, ``(edges,)``
    :param num_centers: number of rows.
    :param num_types: number of types.
    :return: the places; as many in every row as any center has neighbors of a type.
    """
    group = center * num_types + neighbor_type
    counts = torch.bincount(group, minlength=num_centers * num_types)
    order = torch.argsort(group, stable=True)
    number = torch.empty_like(group)  # of an edge within its group
    number[order] = torch.arange(len(group), device=group.device)
    number = number - (counts.cumsum(0) - counts)[group]
    lengths = counts.reshape(num_centers, num_types).amax(0)  # (types,)
    first_place = lengths.cumsum(0) - lengths
    place = center * lengths.sum() + first_place[neighbor_type] + number
    num_places: List[int] = lengths.tolist()
    return Rows(place, num_centers, num_places)


def spread(values: torch.Tensor, rows: Rows) -> torch.Tensor:
    """Put the values of every edge into its place; empty places are zero.

    :param values: ``(edges, properties)``
    :param rows: the places.
    :return: ``(rows, places, properties)``
    """
    num_places = 0
    for number in rows.num_places:
        num_places += number
    table = torch.zeros(
        [rows.num_rows * num_places, values.shape[1]],
        dtype=values.dtype,
        device=values.device,
    )
    table = table.index_copy_(0, rows.place, values)
    return table.reshape(rows.num_rows, num_places, values.shape[1])
