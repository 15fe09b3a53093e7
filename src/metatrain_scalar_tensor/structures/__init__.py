"""Atoms and their neighbors, from metatomic's systems to tensors."""

from .checks import check_distances, check_finite, closest_distance, is_finite
from .edges import EdgeFunctions, Edges
from .positions import positions_in_molecules
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
    "positions_in_molecules",
    "read_neighbor_list",
]
