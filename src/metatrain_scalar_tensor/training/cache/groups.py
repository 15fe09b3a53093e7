"""Selects rows by the parent that they belong to."""

from typing import Tuple

import torch


class Groups:
    """Rows that belong to parents.

    :param parent: number of the parent of every row.
    :param num_parents: number of parents.
    """

    def __init__(self, parent: torch.Tensor, num_parents: int) -> None:
        self.order = torch.argsort(parent, stable=True)
        self.counts = torch.bincount(parent, minlength=num_parents)
        self.starts = self.counts.cumsum(0) - self.counts

    def take(self, parents: torch.Tensor) -> Tuple[torch.Tensor, torch.Tensor]:
        """The rows of some parents.

        :param parents: numbers of the parents.
        :return: the rows, and for each row the position of its parent among these.
        """
        counts = self.counts[parents]
        position = torch.repeat_interleave(counts)
        shift = self.starts[parents] - (counts.cumsum(0) - counts)
        return self.order[torch.arange(len(position)) + shift[position]], position
