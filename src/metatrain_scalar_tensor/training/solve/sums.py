"""Equations that are added up, which takes as much memory for any number of them."""

import math
from typing import Dict, Iterator, List, Tuple

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
from .factors import Factors, diagonal, shape_of_sums, sums_of, unpacked
from .rows import Rows


ROWS_AT_A_TIME = 1024  # sums over few rows would take as long as those over these


class Sums(Equations):
    """The normal equations, :math:`X^T X w = X^T y`, of all samples.

    They are added up on the device of the batches, apart for every set of properties
    that are known for the same samples.

    :param symmetries: names of the symmetries.
    :param max_columns: of how many columns there are eigenvectors.
    :param num_random: about how many random rows are kept besides if there are more.
    """

    def __init__(
        self, symmetries: List[str], max_columns: int, num_random: int
    ) -> None:
        super().__init__(symmetries)
        self.max_columns = max_columns
        self.num_random = num_random
        self.random: Dict[str, Rows] = {}
        """The random rows of every symmetry, if any"""
        self.sizes: Dict[str, Dict[Tuple[int, int], int]] = {}
        """For every symmetry, block and irrep the number of properties"""
        self._groups: Dict[str, Dict[bytes, _Group]] = {}

    def choose(self, num_samples: int) -> torch.Tensor:
        """All samples."""
        return torch.arange(num_samples)

    def add(self, sides: Sides) -> None:
        """Add the samples of a batch."""
        for symmetry, (factors, irreps) in sides.items():
            self.sizes[symmetry] = {irrep: y.shape[2] for irrep, y in irreps.items()}
            num_samples, num_columns = len(factors.features), math.prod(factors.shape)
            if num_columns > self.max_columns:
                rows = self._random_rows(symmetry, num_columns)
                chosen = rows.choose(num_samples)
                of_chosen = {irrep: y[chosen] for irrep, y in irreps.items()}
                rows.add({symmetry: (factors.of(chosen), of_chosen)})
            y = torch.cat(list(irreps.values()), dim=2)  # (samples, 2λ + 1, properties)
            sets, set_of = torch.unique(
                y.isfinite().flatten(0, 1), dim=0, return_inverse=True
            )
            set_of = set_of.reshape(y.shape[:2])
            for number, known in enumerate(sets):
                if known.any():
                    group = self._group(symmetry, known.cpu(), factors.shape, y.device)
                    group.add(factors, y, set_of == number)

    def _random_rows(self, symmetry: str, num_columns: int) -> Rows:
        """The random rows of a symmetry, none at first."""
        if symmetry not in self.random:
            max_numbers = self.num_random * num_columns
            self.random[symmetry] = Rows([symmetry], max_numbers, self.max_columns)
        return self.random[symmetry]

    def _group(
        self,
        symmetry: str,
        known: torch.Tensor,
        shape: Tuple[int, int],
        device: torch.device,
    ) -> "_Group":
        """The sums for a set of known properties, which are zero at first."""
        groups = self._groups.setdefault(symmetry, {})
        key = known.numpy().tobytes()
        if key not in groups:
            groups[key] = _Group(known, shape, device)
        return groups[key]

    def _in_order(self, symmetry: str) -> List["_Group"]:
        """The finished sums of a symmetry, in the same order in all processes."""
        groups = self._groups.get(symmetry, {})
        for group in groups.values():
            group.finish()
        return [groups[key] for key in sorted(groups)]

    def join(self, processes: Processes) -> None:
        """Add up the sums of all processes."""
        present = [
            (symmetry, group.known, group.shape)
            for symmetry in self._groups
            for group in self._in_order(symmetry)
        ]
        for sizes, groups in processes.gather((self.sizes, present)):
            self.sizes.update(sizes)
            for symmetry, known, shape in groups:
                self._group(symmetry, known, shape, processes.device)
        for symmetry in sorted(self._groups):
            in_order = self._in_order(symmetry)
            for group in in_order:
                for total in (group.sums, group.xy, group.yy, group.num_rows):
                    processes.add_up(total)
            num_columns = len(in_order[0].xy)
            if num_columns > self.max_columns:
                self._random_rows(symmetry, num_columns).join(processes)

    def squares(self, symmetry: str) -> torch.Tensor:
        """The mean square of every column, ``(columns,)``; empty without equations."""
        groups = self._in_order(symmetry)
        if len(groups) == 0:
            return torch.empty(0, dtype=torch.float64)
        squares = torch.stack([diagonal(g.sums, g.shape) for g in groups]).sum(0)
        return (squares / sum(group.num_rows for group in groups)).cpu()

    def regressions(self, symmetry: str) -> Iterator[Regression]:
        """The equations for one symmetry; without those of no samples."""
        groups = self._in_order(symmetry)
        if len(groups) == 0:
            return
        known = torch.stack([group.known for group in groups])  # (groups, properties)
        totals: Dict[bytes, Tuple[Gram, Products]] = {}
        lefts: Dict[bytes, Left] = {}
        start = 0
        for irrep, size in self.sizes[symmetry].items():
            of_irrep = known[:, start : start + size]
            sets, set_of = torch.unique(of_irrep, dim=1, return_inverse=True)
            for number, is_part in enumerate(sets.unbind(1)):
                if not is_part.any():
                    continue
                key = is_part.numpy().tobytes()
                if key not in totals:
                    totals[key] = _total([groups[n] for n in torch.where(is_part)[0]])
                gram, of_all = totals[key]
                properties = torch.where(set_of == number)[0]
                columns = start + properties
                products = Products(of_all.xy[:, columns], of_all.yy[columns])
                right: Right = products
                y = self._random_right(symmetry, irrep, properties)
                is_known = y.isfinite().all(1)
                if key not in lefts:
                    lefts[key] = gram
                    if is_known.any():  # else there are none, or the known ones are few
                        x = self.random[symmetry].left(symmetry)[is_known]
                        lefts[key] = LargeLeft(gram, x)
                if is_known.any():
                    right = LargeRight(products, y[is_known])
                yield Regression(irrep, properties, key, lefts[key], right)
            start += size

    def _random_right(
        self, symmetry: str, irrep: Tuple[int, int], properties: torch.Tensor
    ) -> torch.Tensor:
        """The right sides of random rows, ``(rows, properties)``."""
        if symmetry not in self.random:
            return torch.empty(0, len(properties))
        return self.random[symmetry].right(symmetry, irrep)[:, properties]


class _Group:
    """Sums over the rows of which the same properties are known.

    :param known: which properties, ``(properties,)``, on the CPU.
    :param shape: numbers of tensors and of features in the left sides.
    :param device: where to add up.
    """

    def __init__(
        self, known: torch.Tensor, shape: Tuple[int, int], device: torch.device
    ) -> None:
        self.known = known
        self.shape = shape
        zero = torch.zeros((), dtype=torch.float64, device=device)
        self.sums = zero.new_zeros(shape_of_sums(shape))
        self.xy = zero.new_zeros(math.prod(shape), len(known))
        self.yy = zero.new_zeros(len(known))
        self.num_rows = zero.new_zeros(1)
        self._waiting: List[Tuple[torch.Tensor, ...]] = []

    def add(self, factors: Factors, y: torch.Tensor, rows: torch.Tensor) -> None:
        """Add rows.

        :param factors: left sides of some samples.
        :param y: right sides, ``(samples, 2λ + 1, properties)``
        :param rows: which rows to add, ``(samples, 2λ + 1)``
        """
        samples = rows.any(1)
        rows = rows[samples].unsqueeze(2)
        tensors, features = factors.of(samples)
        is_known = rows & self.known.to(y.device)
        y = torch.where(is_known, y[samples], 0.0)
        self._waiting.append((torch.where(rows, tensors, 0.0), features, y))
        self.num_rows += rows.sum()
        if sum(y.shape[0] * y.shape[1] for *_, y in self._waiting) > ROWS_AT_A_TIME:
            self.finish()

    def finish(self) -> None:
        """Add up what is waiting."""
        if len(self._waiting) > 0:
            tensors, features, y = map(torch.cat, zip(*self._waiting, strict=True))
            self._waiting = []
            sums, xy = sums_of(Factors(tensors, features), y)
            self.sums += sums
            self.xy += xy
            self.yy += y.square().sum((0, 1))


def _total(groups: List[_Group]) -> Tuple[Gram, Products]:
    """Both sides of some groups together, of all properties, on the CPU."""
    sums, xy, yy = groups[0].sums, groups[0].xy, groups[0].yy
    for group in groups[1:]:
        sums, xy, yy = sums + group.sums, xy + group.xy, yy + group.yy
    xx = unpacked(sums.cpu(), groups[0].shape)
    num_rows = int(sum(group.num_rows for group in groups))
    return Gram(xx, num_rows), Products(xy.cpu(), yy.cpu())
