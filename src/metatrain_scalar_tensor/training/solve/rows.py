"""Rows of the linear equations that the last weights of targets fulfil."""

from typing import Dict, List, Tuple

import torch


MAX_NUMBERS = 2**27  # in the left sides of one symmetry: 1 GiB
MAX_OF_ALL_KINDS = 2**29  # the same for all kinds of centers together


class Rows:
    r"""The equations of one target.

    .. math::
        \sum_{bf} W_{bf} \, \Phi_{bf} = z, \qquad
        \Phi_{bf} = \sum_i h_{i, f} \, B_{i, b}^{\lambda \sigma}

    for every irrep :math:`z` of a block, with the sum over the atoms of a structure
    where the target is one of structures. Errors count as in the loss: those of
    structures are divided by the number of atoms.

    Of too many samples, some are chosen at random.

    :param max_equations: largest number of equations or weights, whichever is smaller.
    :param num_kinds: number of kinds of centers that have equations of their own, which
        share the memory.
    """

    def __init__(self, max_equations: int, num_kinds: int = 1) -> None:
        self.max_equations = max_equations
        self.max_numbers = min(MAX_NUMBERS, MAX_OF_ALL_KINDS // num_kinds)
        self.x: Dict[str, List[torch.Tensor]] = {}
        """For every symmetry, ``(samples, 2λ + 1, tensors · features)``, in parts"""
        self.y: Dict[Tuple[int, int], List[torch.Tensor]] = {}
        """For every block and irrep, ``(samples, 2λ + 1, properties)``; may be NaN"""
        self.num_samples = 0
        self._rate = 1.0  # the fraction of samples that are kept
        self.generator = torch.Generator().manual_seed(0)

    def choose(self, num_samples: int) -> torch.Tensor:
        """The samples of a batch to be kept.

        :param num_samples: number of samples of the batch.
        """
        random = torch.rand(num_samples, generator=self.generator)
        return torch.where(random < self._rate)[0]

    def add(
        self, x: Dict[str, torch.Tensor], y: Dict[Tuple[int, int], torch.Tensor]
    ) -> None:
        """Add the chosen samples of a batch, and drop half of all if they are too many.

        :param x: left sides.
        :param y: right sides.
        """
        for symmetry, values in x.items():
            self.x.setdefault(symmetry, []).append(values)
        for irrep, values in y.items():
            self.y.setdefault(irrep, []).append(values)
        self.num_samples += len(next(iter(x.values())))
        while any(self._are_too_many(values.shape) for values in x.values()):
            random = torch.randperm(self.num_samples, generator=self.generator)
            kept = random[: self.num_samples // 2].sort().values
            for parts in (*self.x.values(), *self.y.values()):
                parts[:] = [torch.cat(parts)[kept]]
            self.num_samples = len(kept)
            self._rate *= 0.5

    def of_symmetry(self, name: str) -> torch.Tensor:
        """The left sides for one symmetry, ``(rows, columns)``."""
        return torch.cat(self.x[name]).flatten(0, 1)

    def of_irrep(self, block: int, irrep: int) -> torch.Tensor:
        """The right sides for one irrep of a block, ``(rows, properties)``."""
        return torch.cat(self.y[block, irrep]).flatten(0, 1)

    def _are_too_many(self, shape: torch.Size) -> bool:
        """Whether solving takes too long, or the equations too much memory.

        :param shape: ``(samples of a batch, 2λ + 1, columns)``
        """
        rows, columns = self.num_samples * shape[1], shape[2]
        is_slow = min(rows, columns) > self.max_equations
        return is_slow or rows * columns > self.max_numbers
