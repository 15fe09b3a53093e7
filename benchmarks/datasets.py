"""Data sets of ``accuracy.py``: files, targets, and their division by a seed."""

from itertools import permutations
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional

import ase
import ase.io
import numpy as np
import torch

from metatrain_scalar_tensor.o3 import cartesian_irreps


class Target(NamedTuple):
    """A Cartesian tensor of the structures, or one part of a symmetric one."""

    key: str
    """Name of the quantity, which has ``3**rank`` numbers."""
    unit: str
    rank: int
    o3_lambda: Optional[int] = None
    """Angular order of the part, which is a spherical target; ``None`` for all."""
    key_in_file: Optional[str] = None
    """If it is not ``key``"""

    @property
    def label(self) -> str:
        """Key in the files that the training reads; ``mtt::`` makes it a name."""
        return self.key if self.o3_lambda is None else f"{self.key}_{self.o3_lambda}"

    @property
    def title(self) -> str:
        """Name for tables and plots."""
        return (
            self.key if self.o3_lambda is None else f"{self.key}, λ = {self.o3_lambda}"
        )

    def options(self) -> Dict[str, Any]:
        """What metatrain's options say about the target."""
        kind: Dict[str, Any] = {"cartesian": {"rank": self.rank}}
        if self.o3_lambda is not None:
            irreps = [{"o3_lambda": self.o3_lambda, "o3_sigma": 1}]
            kind = {"spherical": {"irreps": irreps}}
        return {"key": self.label, "unit": self.unit, "type": kind}

    def values(self, atoms: ase.Atoms) -> np.ndarray:
        """The numbers to learn, in one dimension."""
        results = {} if atoms.calc is None else atoms.calc.results
        values = {**results, **atoms.info}[self.key_in_file or self.key]
        tensor = np.asarray(values).reshape(-1)
        if self.o3_lambda is None:
            return tensor
        return symmetric_part(self.rank, self.o3_lambda) @ tensor


class DataSet(NamedTuple):
    """Structures with targets, and how many of them are used for what."""

    files: List[str]
    targets: List[Target]
    sizes: List[int]
    """Numbers of training structures; a tenth of each is added for validation."""
    num_test: int
    epochs: int
    are_molecules: bool = False
    """Whether cells are to be left out"""


DATASETS = {
    "qm7x": DataSet(
        files=["qm7x_train.xyz", "qm7x_test.xyz"],
        targets=[Target("mu", "e*A", 1), Target("alpha", "bohr^3", 2)],
        sizes=[18, 36, 72],
        num_test=20,
        epochs=150,
    ),
    "water_monomer": DataSet(
        files=["water_monomer.xyz"],
        targets=[
            Target("mu", "e*bohr", 1),
            Target("alpha", "bohr^3", 2, o3_lambda=0),
            Target("alpha", "bohr^3", 2, o3_lambda=2),
            Target("beta", "bohr^5/e", 3, o3_lambda=1),
            Target("beta", "bohr^5/e", 3, o3_lambda=3),
        ],
        sizes=[50, 100, 200, 400],
        num_test=200,
        epochs=50,
    ),
    "water_bulk": DataSet(
        files=["water_bulk.xyz"],
        targets=[
            Target("mu", "e*bohr", 1),
            Target("alpha", "bohr^3", 2, o3_lambda=0),
            Target("alpha", "bohr^3", 2, o3_lambda=2),
        ],
        sizes=[50, 200],
        num_test=100,
        epochs=30,
    ),
    "qm7b": DataSet(
        files=["qm7b/molecules.xyz"],
        targets=[
            Target("mu", "e*bohr", 1, key_in_file="dipole"),
            Target("alpha", "bohr^3", 2, key_in_file="pol"),
        ],
        sizes=[1000],
        num_test=300,
        epochs=60,
        are_molecules=True,
    ),
}


def symmetric_part(rank: int, o3_lambda: int) -> np.ndarray:
    """Matrix from a symmetric Cartesian tensor to its part of an angular order.

    A symmetric tensor has each of the angular orders ``rank, rank - 2, ...`` once.

    :param rank: number of Cartesian indices.
    :param o3_lambda: the angular order.
    :return: orthonormal rows, ``(2λ + 1, 3**rank)``
    """
    irreps, matrix = cartesian_irreps(rank)
    start = 0
    while irreps[0].o3_lambda != o3_lambda:
        start += 2 * irreps.pop(0).o3_lambda + 1
    first = matrix[start : start + 2 * o3_lambda + 1]
    axes = permutations(range(1, rank + 1))
    symmetric = torch.stack([first.permute(0, *order) for order in axes]).mean(0)
    rows = symmetric.flatten(1)
    return (rows / rows.norm(dim=1, keepdim=True)).numpy()


def read(dataset: DataSet, folder: Path) -> List[ase.Atoms]:
    """All structures, with the values of the targets under their labels."""
    frames = []
    for name in dataset.files:
        if not (folder / name).exists():
            raise FileNotFoundError(f"no {name} in '{folder}': give its folder, --data")
        for atoms in ase.io.read(folder / name, ":"):
            values = {target.label: target.values(atoms) for target in dataset.targets}
            atoms.info, atoms.calc = values, None
            if dataset.are_molecules:
                atoms.cell, atoms.pbc = None, False
            frames.append(atoms)
    return frames


class Split(NamedTuple):
    """Structures for training, validation and test."""

    training: List[ase.Atoms]
    validation: List[ase.Atoms]
    test: List[ase.Atoms]


def split(frames: List[ase.Atoms], size: int, num_test: int, seed: int) -> Split:
    """Shuffle and divide; the test set is the same for every size.

    :param frames: all structures.
    :param size: number of training structures; a tenth more, rounded up, validates.
    :param num_test: number of test structures.
    :param seed: of the order, in which the last structures are for the test.
    """
    num_validation = -(-size // 10)
    if size + num_validation + num_test > len(frames):
        raise ValueError(
            f"{size} training, {num_validation} validation and {num_test} test "
            f"structures are more than the {len(frames)} of the data set"
        )
    order = np.random.default_rng(seed).permutation(len(frames))
    shuffled = [frames[i] for i in order]
    return Split(
        shuffled[:size],
        shuffled[size : size + num_validation],
        shuffled[-num_test:],
    )
