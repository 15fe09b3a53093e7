"""Data files with matrices: metatrain's ``DiskDataset``, with a description.

A file is finished or absent. Until it is finished, the matrices of every structure are
in a file of their own in a folder beside it, from which an interrupted run continues.
The description, how matrices and geometries were made, is the comment of the zip file.
"""

import json
import os
import shutil
import zipfile
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import ase
import ase.io
import numpy as np
import torch
from electronic import orbitals_of_atoms
from metatomic.torch import systems_to_torch
from metatrain.utils.data.writers import DiskDatasetWriter
from scipy.spatial.distance import cdist
from sources import Description, Source
from tqdm import tqdm

from metatrain_scalar_tensor.hamiltonian import to_targets


def read_description(path: str) -> Description:
    """How a file was made.

    :raises ValueError: if the file does not say so.
    """
    with zipfile.ZipFile(path) as file:
        comment = file.comment
    if not comment:
        raise ValueError(
            f"{path} does not say how its matrices were made: write it by make_data.py"
        )
    return json.loads(comment)


class UnfinishedFile:
    """The folder with the finished structures of a file that is being written.

    :param path: the file to write.
    :param description: how it is made.
    :raises FileExistsError: if the file is there.
    :raises ValueError: if the folder belongs to a file with another description.
    """

    def __init__(self, path: str, description: Description) -> None:
        self.path, self.folder = Path(path), Path(f"{path}.unfinished")
        self.description = description
        if self.path.exists():
            raise FileExistsError(f"{path} is there: remove it, or choose another name")
        self.folder.mkdir(parents=True, exist_ok=True)
        written = self.folder / "description.json"
        if not written.exists():
            _replace(written, json.dumps(description).encode())
        elif json.loads(written.read_text()) != description:
            raise ValueError(
                f"{self.folder} was begun with other options, {written.read_text()}: "
                "repeat them, or remove the folder"
            )

    def geometries(self, sample: Callable[[], List[ase.Atoms]]) -> List[ase.Atoms]:
        """All structures: those of the interrupted run, or new ones."""
        written = self.folder / "geometries.traj"
        if not written.exists():
            new = self.folder / "new.traj"
            ase.io.write(new, sample())
            os.replace(new, written)
        return ase.io.read(written, ":")

    def part(self, i: int) -> Path:
        """File with the matrices of a structure."""
        return self.folder / f"{i}.npz"

    def compute(self, source: Source, frames: List[ase.Atoms], processes: int) -> None:
        """The matrices of all structures that have none yet."""
        missing = [i for i in range(len(frames)) if not self.part(i).exists()]
        work = partial(_compute, source)
        arguments = [self.part(i) for i in missing], [frames[i] for i in missing]
        bar = partial(tqdm, total=len(frames), initial=len(frames) - len(missing))
        with ExitStack() as stack:
            apply = map
            if processes > 1:
                context = get_context("spawn")  # forks lose PySCF's threads
                pool = ProcessPoolExecutor(processes, context, _use_one_thread)
                apply = stack.enter_context(pool).map
            for _ in bar(apply(work, *arguments), disable=None):
                pass

    def reach(self, frames: List[ase.Atoms], irreps: Dict[int, Any]) -> float:
        """Largest distance in Å of two atoms with elements of more than 1 meV."""
        found = 0.0
        for i, frame in enumerate(frames):
            starts = np.cumsum([0, *orbitals_of_atoms(frame, irreps)])[:-1]
            for shift, matrix in _load(self.part(i))["fock"].items():
                rows = np.maximum.reduceat(np.abs(matrix), starts, axis=0)
                blocks = np.maximum.reduceat(rows, starts, axis=1)  # (atoms, atoms)
                shifted = frame.positions + shift @ frame.cell[:]
                distances = cdist(frame.positions, shifted)
                found = max(found, distances[blocks > 1e-3].max(initial=0.0))
        return float(found)

    def finish(self, frames: List[ase.Atoms], irreps: Dict[int, Any]) -> None:
        """Write the file, and remove the folder.

        :param frames: all structures.
        :param irreps: orbitals of all types, whose blocks every structure has.
        """
        new = self.folder / "data.zip"
        writer = DiskDatasetWriter(new)
        for i, frame in enumerate(frames):
            targets = {}
            for name, matrices in _load(self.part(i)).items():
                blocks = to_targets(matrices, frame.numbers.tolist(), irreps)
                names = f"mtt::{name}_onsite", f"mtt::{name}_offsite"
                targets |= dict(zip(names, blocks))
            writer.write([systems_to_torch(frame, dtype=torch.float64)], targets)
        writer.finish()
        with zipfile.ZipFile(new, "a") as file:
            file.comment = json.dumps(self.description).encode()
        os.replace(new, self.path)
        shutil.rmtree(self.folder)


def _use_one_thread() -> None:
    """In a process among others."""
    from pyscf import lib

    lib.num_threads(1)


def _replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    new = path.with_suffix(".new")
    new.write_bytes(content)
    os.replace(new, path)


def _compute(source: Source, part: Path, frame: ase.Atoms) -> None:
    """Compute and write the matrices of one structure."""
    arrays = {}
    for name, matrices in zip(("fock", "overlap"), source.matrices(frame)):
        arrays[f"{name}_shifts"] = np.array(list(matrices))  # (shifts, 3)
        arrays[name] = np.stack(list(matrices.values()))  # (shifts, orbitals, orbitals)
    new = part.with_suffix(".new.npz")
    np.savez(new, **arrays)
    os.replace(new, part)


def _load(part: Path) -> Dict[str, Dict[Tuple[int, int, int], np.ndarray]]:
    """Read the matrices of one structure."""
    with np.load(part) as arrays:
        return {
            name: dict(zip(map(tuple, arrays[f"{name}_shifts"].tolist()), arrays[name]))
            for name in ("fock", "overlap")
        }
