"""What the equations of a target have in common, however they are kept."""

from abc import ABC, abstractmethod
from typing import Any, Dict, Iterator, List, NamedTuple, Sequence, Tuple, Union

import torch

from ..processes import Processes
from .factors import Factors


Irreps = Dict[Tuple[int, int], torch.Tensor]
"""For every block and irrep ``(samples, 2λ + 1, properties)``; NaN is unknown."""
Sides = Dict[str, Tuple[Factors, Irreps]]
"""For every symmetry the left sides, and the right sides of the irreps that have it."""


class Gram(NamedTuple):
    """Left sides of equations that were added up."""

    xx: torch.Tensor
    """:math:`X^T X`, ``(columns, columns)``"""
    num_rows: int

    @classmethod
    def of(cls, x: torch.Tensor) -> "Gram":
        """Add up rows, ``(rows, columns)``."""
        return cls(x.T @ x, len(x))


class Products(NamedTuple):
    """Right sides of equations that were added up."""

    xy: torch.Tensor
    """:math:`X^T y`, ``(columns, properties)``"""
    yy: torch.Tensor
    """:math:`|y|^2`, ``(properties,)``"""

    @classmethod
    def of(cls, x: torch.Tensor, y: torch.Tensor) -> "Products":
        """Add up rows, ``(rows, columns)`` and ``(rows, properties)``."""
        return cls(x.T @ y, y.square().sum(0))

    def rest(self, times: torch.Tensor, weights: torch.Tensor) -> "Products":
        """Those of :math:`y - X w`, given :math:`X^T X w` and :math:`w`."""
        xy = self.xy - times
        return Products(xy, self.yy - (weights * (self.xy + xy)).sum(0))


class LargeLeft(NamedTuple):
    """Left sides with too many rows and columns for eigenvectors."""

    all: Union[torch.Tensor, Gram]
    """All rows, ``(rows, columns)``, or their sums"""
    chosen: torch.Tensor
    """Random ones, ``(chosen rows, columns)``"""


class LargeRight(NamedTuple):
    """Right sides of the same equations."""

    all: Products
    """Sums over all rows"""
    chosen: torch.Tensor
    """Those of the random rows, ``(chosen rows, properties)``"""


Left = Union[torch.Tensor, Gram, LargeLeft]
"""``(rows, columns)`` with fewer rows than columns, or of more rows"""
Right = Union[torch.Tensor, Products, LargeRight]
"""``(rows, properties)``, or of more rows"""


def joined(rights: Sequence[Any]) -> Any:
    """Right sides of one kind for the same left sides, property after property.

    :param rights: each a :data:`Right`.
    """
    first = rights[0]
    if isinstance(first, torch.Tensor):  # the last axis is that of properties
        return torch.cat(list(rights), dim=-1)
    return type(first)(*(joined(sides) for sides in zip(*rights, strict=True)))


class Regression(NamedTuple):
    """Properties of an irrep that are known for the same samples."""

    irrep: Tuple[int, int]
    """Number of the block, and of the irrep in it"""
    properties: torch.Tensor
    """Numbers of the properties"""
    samples: bytes
    """Tells for which samples; the left sides are the same for the same ones"""
    left: Left
    """:math:`X`, or its products"""
    right: Right
    """:math:`y`, or its products, of the kind that belongs to the left sides"""


class Equations(ABC):
    r"""The equations of one target, for one kind of centers and some symmetries.

    .. math::
        \sum_{bf} W_{bf} \, \Phi_{bf} = z, \qquad
        \Phi_{bf} = \sum_i h_{i, f} \, B_{i, b}^{\lambda \sigma}

    for every irrep :math:`z` of a block, with the sum over the atoms of a structure
    where the target is one of structures. Errors count as in the loss: those of
    structures are divided by the number of atoms.

    :param symmetries: names of the symmetries.
    """

    def __init__(self, symmetries: List[str]) -> None:
        self.symmetries = symmetries

    @abstractmethod
    def choose(self, num_samples: int) -> torch.Tensor:
        """The samples of a batch to be added.

        :param num_samples: number of samples of the batch.
        """

    @abstractmethod
    def add(self, sides: Sides) -> None:
        """Add the chosen samples of a batch."""

    @abstractmethod
    def join(self, processes: Processes) -> None:
        """Join what the processes have collected, so that all of them have it."""

    @abstractmethod
    def squares(self, symmetry: str) -> torch.Tensor:
        """The mean square of every column, ``(columns,)``; empty without equations."""

    @abstractmethod
    def regressions(self, symmetry: str) -> Iterator[Regression]:
        """The equations for one symmetry, on the CPU; without those of no samples."""
