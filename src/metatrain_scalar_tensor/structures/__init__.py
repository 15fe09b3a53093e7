"""Atoms and their neighbors, from metatomic's systems to tensors."""

from .checks import check_distances, check_finite, closest_distance, is_finite
from .edges import EdgeFunctions, Edges
from .reader import NeighborList, StructureReader, Structures, read_neighbor_list


__all__ = [
    "EdgeFunctions",
    "Edges",
    "NeighborList",
    "StructureReader",
    "Structures",
    "check_distances",
    "check_finite",
    "closest_distance",
    "is_finite",
    "read_neighbor_list",
]
