"""Functions of the scalars of a center, in which blocks of matrices are linear."""

from typing import NamedTuple, Sequence

import torch

from ..normalisation import RELATIVE_FLOOR


NUM_FUNCTIONS = 2048  # of atoms
STEEPNESS = 0.2  # root mean square of what a function adds to its bias
NUM_PRIOR = 10.0  # centers that every kind has besides, with the variance of all kinds


class Moments(NamedTuple):
    """Sums over the centers of every kind, in float64."""

    counts: torch.Tensor  # (kinds, 1)
    sums: torch.Tensor  # (kinds, num_scalars)
    squares: torch.Tensor  # (kinds, num_scalars)


class ScalarFunctions(torch.nn.Module):
    r"""Scalars in units of their fluctuations, and many smooth functions of these.

    .. math::
        s_i = \frac{p_i - \bar p_q}{\sigma_q}, \qquad
        s_i \oplus \mathrm{SiLU}(F s_i + f)

    with mean and standard deviation of every scalar :math:`p` for the kind :math:`q` of
    the center, such as C-H among the pairs, and weights that are random at first. What
    changes little from one structure to the next then counts as much as what changes a
    lot. The units do not change after :meth:`calibrate`.

    :param num_scalars: number of scalars.
    :param num_kinds: number of kinds of centers.
    :param num_functions: number of functions.
    """

    mean: torch.Tensor  # (kinds, num_scalars)
    deviation: torch.Tensor  # (kinds, num_scalars)
    is_calibrated: torch.Tensor

    def __init__(self, num_scalars: int, num_kinds: int, num_functions: int) -> None:
        super().__init__()
        self.num_scalars = num_scalars
        self.functions = torch.nn.Linear(num_scalars, num_functions)
        torch.nn.init.normal_(self.functions.weight, std=STEEPNESS * num_scalars**-0.5)
        torch.nn.init.normal_(self.functions.bias)
        self.register_buffer("mean", torch.zeros(num_kinds, num_scalars).double())
        self.register_buffer("deviation", torch.ones(num_kinds, num_scalars).double())
        self.register_buffer("is_calibrated", torch.tensor(False))

    def forward(self, scalars: torch.Tensor, kinds: torch.Tensor) -> torch.Tensor:
        """Evaluate the functions.

        :param scalars: ``(centers, num_scalars)``
        :param kinds: index of the kind of every center, ``(centers,)``
        :return: the scalars in the new units, then the functions,
            ``(centers, num_scalars + num_functions)``
        """
        standard = (scalars - self.mean[kinds]) / self.deviation[kinds]
        functions = torch.nn.functional.silu(self.functions(standard))
        return torch.cat([standard, functions], dim=1)

    @torch.jit.unused
    @torch.no_grad()
    def moments(self, scalars: torch.Tensor, kinds: torch.Tensor) -> Moments:
        """What :meth:`calibrate` needs to know of some centers.

        :param scalars: ``(centers, num_scalars)``
        :param kinds: index of the kind of every center, ``(centers,)``
        """
        x = scalars.double()
        zeros = x.new_zeros(len(self.mean), self.num_scalars)
        return Moments(
            torch.bincount(kinds, minlength=len(zeros)).to(x).unsqueeze(1),
            zeros.index_add(0, kinds, x),
            zeros.index_add(0, kinds, x.square()),
        )

    @torch.jit.unused
    @torch.no_grad()
    def calibrate(self, of_batches: Sequence[Moments]) -> None:
        """Choose the units, unless already chosen.

        Every kind is treated as if there were ``NUM_PRIOR`` more of its centers, with
        the variance of all: where there are few, their own says little. No unit is
        smaller than ``RELATIVE_FLOOR`` of the root mean square of all scalars, so that
        what symmetry forbids stays small.

        :param of_batches: :meth:`moments` of typical centers, in batches.
        """
        if self.is_calibrated:
            return
        counts, sums, squares = (torch.stack(x).sum(0) for x in zip(*of_batches))
        number = counts.sum().clamp(min=1.0)
        of_all = squares.sum(0) / number - (sums.sum(0) / number).square()
        floor = RELATIVE_FLOOR * (squares.mean(1).sum() / number).sqrt()
        mean = sums / counts.clamp(min=1.0)
        variance = squares - counts * mean.square() + NUM_PRIOR * of_all
        variance = (variance / (counts + NUM_PRIOR)).clamp(min=0.0)
        deviation = torch.maximum(variance.sqrt(), floor)
        self.mean.copy_(mean)
        is_known = (counts > 0) & (deviation > 0)
        self.deviation.copy_(torch.where(is_known, deviation, 1.0))
        self.is_calibrated.fill_(True)
