"""Rows of the linear equations that the last weights of targets fulfil."""

from typing import Dict, List, Tuple

import torch


class Rows:
    r"""The equations of one target.

    .. math::
        \sum_{bf} W_{bf} \, \Phi_{bf} = z, \qquad
        \Phi_{bf} = \sum_i h_{i, f} \, B_{i, b}^{\lambda \sigma}

    for every irrep :math:`z` of a block, with the sum over the atoms of a structure
    where the target is one of structures. Errors count as in the loss: those of
    structures are divided by the number of atoms.

    Of too many samples, some are chosen at random.

    :param max_numbers: how many numbers the left sides may have.
    """

    def __init__(self, max_numbers: int) -> None:
        self.max_numbers = max_numbers
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
        size = sum(values[:1].numel() for values in x.values())  # of a sample
        while self.num_samples > 1 and self.num_samples * size > self.max_numbers:
            random = torch.randperm(self.num_samples, generator=self.generator)
            kept = random[: self.num_samples // 2].sort().values
            for parts in (*self.x.values(), *self.y.values()):
                parts[:] = [torch.cat(parts)[kept]]
            self.num_samples = len(kept)
            self._rate *= 0.5

    def of_symmetry(self, name: str) -> torch.Tensor:
        """The left sides for one symmetry, ``(rows, columns)``."""
        self.x[name] = [torch.cat(self.x[name])]  # the parts are not kept
        return self.x[name][0].flatten(0, 1)

    def of_irrep(self, block: int, irrep: int) -> torch.Tensor:
        """The right sides for one irrep of a block, ``(rows, properties)``."""
        return torch.cat(self.y[block, irrep]).flatten(0, 1)
