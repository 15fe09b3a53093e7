r"""Folders in the layout of DeepH, read and written.

A folder has one structure (`DeepH-pack <https://github.com/mzjb/DeepH-pack>`_, which
writes it from ABACUS, OpenMX, FHI-aims and SIESTA, see ``deeph/preprocess``):

``lat.dat``, ``site_positions.dat``
    cell vectors and positions in Å, as columns.
``element.dat``
    atomic numbers.
``orbital_types.dat``
    a line for each atom: ``l`` of its shells.
``info.json``
    ``isspinful``, which must be false here, and the number of orbitals.
``hamiltonians.h5``, ``overlaps.h5``
    blocks :math:`H_{ij}(R)` in eV, and of the overlap, under the name ``[Rx, Ry, Rz, i,
    j]``: between atom i in the home cell and atom j in cell R, counted from 1, with the
    orbitals of OpenMX. Blocks that are missing are the transposed ones of the opposite
    pair, :math:`H_{ij}(R) = H_{ji}(-R)^T`, or zero.

It needs ``h5py``::

    found = read_deeph("folder")
    onsite, offsite = to_targets(found.hamiltonian, found.types, found.basis)
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple, Union

import h5py
import numpy as np
import torch

from .conventions import Convention, basis_of_shells
from .matrices import HOME, Basis, Matrices, Shift


Block = Tuple[int, int, int, int, int]  # cell shift, first and second atom


@dataclass
class Structure:
    """A structure with its matrices, in the conventions of :mod:`.matrices`.

    :param types: atomic numbers, ``(atoms,)``
    :param positions: in Å, ``(atoms, 3)``
    :param cell: cell vectors as rows in Å, ``(3, 3)``
    :param basis: orbitals of every type.
    :param hamiltonian: in eV, of every cell shift, ``(orbitals, orbitals)``
    :param overlap: likewise, if there is one.
    """

    types: List[int]
    positions: np.ndarray
    cell: np.ndarray
    basis: Basis
    hamiltonian: Matrices
    overlap: Optional[Matrices] = None


def read_deeph(folder: Union[str, Path]) -> Structure:
    """Read a folder.

    :raises ValueError: if the matrices have spin, are complex or not symmetric, if
        atoms of one type have different orbitals, or if a block is of an atom that is
        not there, or has another shape than its orbitals.
    :raises FileNotFoundError: if a file other than ``overlaps.h5`` is missing.
    """
    folder = Path(folder)
    if json.loads((folder / "info.json").read_text()).get("isspinful", False):
        raise ValueError(
            f"{folder} has matrices with spin: only real ones are possible"
        )
    types = np.loadtxt(folder / "element.dat", dtype=int, ndmin=1).tolist()
    lines = (folder / "orbital_types.dat").read_text().splitlines()
    shells = [[int(l) for l in line.split()] for line in lines if line.strip()]
    has_overlap = (folder / "overlaps.h5").exists()
    return Structure(
        types,
        np.loadtxt(folder / "site_positions.dat", ndmin=2).T,
        np.loadtxt(folder / "lat.dat", ndmin=2).T,
        basis_of_shells(types, shells),
        _read_blocks(folder / "hamiltonians.h5", shells),
        _read_blocks(folder / "overlaps.h5", shells) if has_overlap else None,
    )


def write_deeph(folder: Union[str, Path], structure: Structure) -> None:
    """Write a folder, which is made if it is not there; shells are in order of ``l``.

    :raises ValueError: if the basis has shells beyond ``l = 3``.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    shells = [_shells_of(structure.basis[number]) for number in structure.types]
    cell = np.asarray(structure.cell)
    info = {
        "nsites": len(structure.types),
        "norbits": sum(sum(_sizes([of_atom])) for of_atom in shells),
        "isorthogonal": structure.overlap is None,
        "isspinful": False,
    }
    (folder / "info.json").write_text(json.dumps(info))
    np.savetxt(folder / "element.dat", structure.types, fmt="%d")
    np.savetxt(folder / "site_positions.dat", np.asarray(structure.positions).T)
    np.savetxt(folder / "lat.dat", cell.T)
    if np.linalg.matrix_rank(cell) == 3:
        np.savetxt(folder / "rlat.dat", 2 * np.pi * np.linalg.inv(cell))
    lines = [" ".join(map(str, of_atom)) for of_atom in shells]
    (folder / "orbital_types.dat").write_text("".join(f"{line}\n" for line in lines))
    _write_blocks(folder / "hamiltonians.h5", structure.hamiltonian, shells)
    (folder / "overlaps.h5").unlink(missing_ok=True)
    if structure.overlap is not None:
        _write_blocks(folder / "overlaps.h5", structure.overlap, shells)


def _shells_of(irreps: Any) -> List[int]:
    """``l`` of the shells of a type."""
    by_l = sorted(irreps, key=lambda irrep: irrep["o3_lambda"])
    return [irrep["o3_lambda"] for irrep in by_l for _ in range(irrep.get("num", 1))]


def _sizes(shells: List[List[int]]) -> List[int]:
    """Number of orbitals of every atom."""
    return [sum(2 * l + 1 for l in of_atom) for of_atom in shells]


def _read_blocks(path: Path, shells: List[List[int]]) -> Matrices:
    """Assemble the matrices of all cell shifts."""
    convention = Convention("OpenMX", shells)
    sizes = _sizes(shells)
    ends = np.cumsum(sizes)
    found: Dict[Shift, np.ndarray] = {HOME: np.zeros((ends[-1], ends[-1]))}
    for (a, b, c, i, j), block in _symmetric_blocks(path, sizes).items():
        matrix = found.setdefault((a, b, c), np.zeros((ends[-1], ends[-1])))
        rows = slice(ends[i - 1] - sizes[i - 1], ends[i - 1])
        matrix[rows, ends[j - 1] - sizes[j - 1] : ends[j - 1]] = block
    return {
        shift: torch.as_tensor(convention.to_ours(matrix))
        for shift, matrix in found.items()
    }


def _symmetric_blocks(path: Path, sizes: List[int]) -> Dict[Block, np.ndarray]:
    """The blocks of a file, with those of all opposite pairs."""
    atoms = range(1, len(sizes) + 1)
    blocks: Dict[Block, np.ndarray] = {}
    with h5py.File(path, "r") as file:
        for name, values in file.items():
            a, b, c, i, j = json.loads(name)
            if i not in atoms or j not in atoms:
                raise ValueError(
                    f"block {name} of {path} is of an atom that is not there: they are "
                    f"counted from 1 to {len(sizes)}"
                )
            block = blocks[a, b, c, i, j] = values[:]
            shape = (sizes[i - 1], sizes[j - 1])
            if block.shape != shape:
                raise ValueError(
                    f"block {name} of {path} has shape {block.shape}, its orbitals "
                    f"{shape}"
                )
            if np.iscomplexobj(block):
                raise ValueError(f"block {name} of {path} is complex: it must be real")
    largest = max((np.abs(block).max() for block in blocks.values()), default=0.0)
    for (a, b, c, i, j), block in list(blocks.items()):
        other = blocks.setdefault((-a, -b, -c, j, i), block.T)
        if not np.abs(other - block.T).max() <= 1e-4 * largest:  # also if it is NaN
            raise ValueError(
                f"block [{a}, {b}, {c}, {i}, {j}] of {path} is not the transposed one "
                "of the opposite pair, or is NaN: the matrix is not symmetric"
            )
    return blocks


def _write_blocks(
    path: Path, matrices: Mapping[Shift, Any], shells: List[List[int]]
) -> None:
    """Write the blocks of all pairs of atoms that are not zero."""
    convention = Convention("OpenMX", shells)
    splits = np.cumsum(_sizes(shells))[:-1]
    with h5py.File(path, "w") as file:
        for (a, b, c), matrix in matrices.items():
            theirs = convention.from_ours(np.asarray(matrix))
            for i, rows in enumerate(np.split(theirs, splits, axis=0), 1):
                for j, block in enumerate(np.split(rows, splits, axis=1), 1):
                    if np.any(block != 0):
                        file[f"[{a}, {b}, {c}, {i}, {j}]"] = block
