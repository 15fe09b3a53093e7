"""What gives matrices, from the description of a data file."""

from typing import Any, Dict, List, Protocol, Tuple

import ase
from crystal import Crystal
from electronic import Irreps, Matrices, Method
from graphene import TightBinding


Description = Dict[str, Any]


class Source(Protocol):
    """A method of electronic structure, or a model."""

    def irreps(self, atoms: ase.Atoms) -> Irreps:
        """The orbitals of the types of a structure, for the options file."""

    def kpoints(self) -> List[Tuple[float, ...]]:
        """Where levels are compared, in units of the reciprocal cell vectors."""

    def electrons(self, atoms: ase.Atoms) -> int:
        """Number of the electrons of a structure that are in the orbitals."""

    def matrices(self, atoms: ase.Atoms) -> Tuple[Matrices, Matrices]:
        """Hamiltonian in eV, less its reference, and overlap, of all cell shifts."""

    def reference(self, atoms: ase.Atoms) -> Matrices:
        """What is added to a prediction to give the Hamiltonian, in eV."""


def source_of(description: Description) -> Source:
    """The source that a file was made with."""
    if description["periodic"]:
        return TightBinding()
    method, basis = description["method"], description["basis"]
    if description["kpoints"]:
        return Crystal(method, basis, tuple(description["kpoints"]))
    return Method(method, basis, description["minus"])
