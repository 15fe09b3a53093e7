"""Matrices between atomic orbitals, such as Hamiltonians, to targets and back."""

from .conventions import CODES, Convention, basis_of_shells
from .matrices import HOME, Basis, Matrices, bloch, near_pairs, to_matrices, to_targets
from .orbitals import atomic_basis, atomic_types, orbital_order
from .references import fock_of_atoms


__all__ = [
    "CODES",
    "HOME",
    "Basis",
    "Convention",
    "Matrices",
    "atomic_basis",
    "atomic_types",
    "basis_of_shells",
    "bloch",
    "fock_of_atoms",
    "near_pairs",
    "orbital_order",
    "to_matrices",
    "to_targets",
]
