"""Matrices between atomic orbitals, such as Hamiltonians, to targets and back."""

from .matrices import HOME, Basis, Matrices, bloch, near_pairs, to_matrices, to_targets
from .orbitals import atomic_basis, atomic_types, orbital_order
from .references import fock_of_atoms


__all__ = [
    "HOME",
    "Basis",
    "Matrices",
    "atomic_basis",
    "atomic_types",
    "bloch",
    "fock_of_atoms",
    "near_pairs",
    "orbital_order",
    "to_matrices",
    "to_targets",
]
