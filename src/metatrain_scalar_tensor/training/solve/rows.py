"""Equations that are kept row by row."""

from typing import Any, Dict, Iterator, List, Tuple

import torch

from ..processes import Processes
from .equations import (
    Equations,
    Gram,
    LargeLeft,
    LargeRight,
    Left,
    Products,
    Regression,
    Right,
    Sides,
)


class Rows(Equations):
    """All rows of the equations or, if they are too many, those of random samples.

    :param symmetries: names of the symmetries.
    :param max_numbers: how many numbers the left sides may have.
    :param max_equations: of how many rows or columns, whichever are fewer, there are
        eigenvectors.
    """

    def __init__(
        self, symmetries: List[str], max_numbers: int, max_equations: int
    ) -> None:
        super().__init__(symmetries)
        self.max_numbers = max_numbers
        self.max_equations = max_equations
        self.x: Dict[str, List[torch.Tensor]] = {}
        """For every symmetry, ``(samples, 2λ + 1, tensors · features)``, in parts"""
        self.y: Dict[str, Dict[Tuple[int, int], List[torch.Tensor]]] = {}
        """For every symmetry, block and irrep ``(samples, 2λ + 1, properties)``"""
        self.shapes: Dict[str, Tuple[int, int]] = {}
        """For every symmetry the numbers of tensors and of features"""
        self.num_samples = 0
        self._rate = 1.0  # the fraction of samples that are kept
        self.generator = torch.Generator().manual_seed(0)

    def choose(self, num_samples: int) -> torch.Tensor:
        """Random samples, as many as there is room for."""
        random = torch.rand(num_samples, generator=self.generator)
        return torch.where(random < self._rate)[0]

    def add(self, sides: Sides) -> None:
        """Add the chosen samples of a batch, and drop half of all if they are too many.

        :param sides: the samples.
        """
        size = 0  # of a sample
        for symmetry, (factors, irreps) in sides.items():
            x = factors.rows().cpu()
            right = {irrep: [y.cpu()] for irrep, y in irreps.items()}
            self._extend(symmetry, [x], right)
            self.shapes[symmetry] = factors.shape
            size += x.shape[1] * x.shape[2]
        self.num_samples += len(x)
        while self.num_samples > 1 and self.num_samples * size > self.max_numbers:
            random = torch.randperm(self.num_samples, generator=self.generator)
            kept = random[: self.num_samples // 2].sort().values
            for parts in self._parts():
                parts[:] = [torch.cat(parts)[kept]]
            self.num_samples = len(kept)
            self._rate *= 0.5

    def _extend(
        self,
        symmetry: str,
        x: List[torch.Tensor],
        y: Dict[Tuple[int, int], List[torch.Tensor]],
    ) -> None:
        """Put parts of both sides behind those that are there."""
        self.x.setdefault(symmetry, []).extend(x)
        present = self.y.setdefault(symmetry, {})
        for irrep, parts in y.items():
            present.setdefault(irrep, []).extend(parts)

    def _parts(self) -> Iterator[List[torch.Tensor]]:
        yield from self.x.values()
        for right in self.y.values():
            yield from right.values()

    def join(self, processes: Processes) -> None:
        """Put the rows of all processes behind each other."""
        of_all: List[Any] = processes.gather((self.x, self.y, self.num_samples))
        if len(of_all) == 1:
            return
        self.x, self.y, self.num_samples = {}, {}, 0
        for left, right, number in of_all:
            self.num_samples += number
            for symmetry, parts in left.items():
                self._extend(symmetry, parts, right[symmetry])

    def left(self, symmetry: str) -> torch.Tensor:
        """The left sides for one symmetry, ``(rows, columns)``."""
        if symmetry not in self.x:
            return torch.empty(0, 0, dtype=torch.float64)
        self.x[symmetry] = [torch.cat(self.x[symmetry])]  # the parts are not kept
        return self.x[symmetry][0].flatten(0, 1)

    def right(self, symmetry: str, irrep: Tuple[int, int]) -> torch.Tensor:
        """The right sides for one irrep of a block, ``(rows, properties)``."""
        return torch.cat(self.y[symmetry][irrep]).flatten(0, 1)

    def squares(self, symmetry: str) -> torch.Tensor:
        """The mean square of every column, ``(columns,)``; empty without equations."""
        return self.left(symmetry).square().mean(0)

    def regressions(self, symmetry: str) -> Iterator[Regression]:
        """The equations for one symmetry; without those of no samples."""
        x = self.left(symmetry)
        lefts: Dict[bytes, Tuple[torch.Tensor, Left]] = {}
        for irrep in self.y.get(symmetry, {}):
            y = self.right(symmetry, irrep)
            known, pattern_of = torch.unique(y.isfinite(), dim=1, return_inverse=True)
            for number, rows in enumerate(known.unbind(1)):
                if not rows.any():
                    continue
                key = rows.numpy().tobytes()
                if key not in lefts:
                    x_of_rows = x if rows.all() else x[rows]
                    lefts[key] = (x_of_rows, self._left(x_of_rows))
                properties = torch.where(pattern_of == number)[0]
                x_of_rows, left = lefts[key]
                right = self._right(x_of_rows, y[rows][:, properties], left)
                yield Regression(irrep, properties, key, left, right)

    def _left(self, x: torch.Tensor) -> Left:
        """Added up where rows outnumber columns, unless both are too many."""
        if min(x.shape) > self.max_equations:
            return LargeLeft(x, x[self._chosen(x)])
        return Gram.of(x) if len(x) >= x.shape[1] else x

    def _right(self, x: torch.Tensor, y: torch.Tensor, left: Left) -> Right:
        if isinstance(left, Gram):
            return Products.of(x, y)
        if isinstance(left, LargeLeft):
            return LargeRight(Products.of(x, y), y[self._chosen(x)])
        return y

    def _chosen(self, x: torch.Tensor) -> torch.Tensor:
        """As many random rows as there may be eigenvectors."""
        generator = torch.Generator().manual_seed(0)
        order = torch.randperm(len(x), generator=generator)
        return order[: self.max_equations].sort().values
