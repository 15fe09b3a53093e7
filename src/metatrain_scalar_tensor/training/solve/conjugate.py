"""Ridge regression with more rows than can be decomposed: conjugate gradients."""

from typing import Callable, Optional, Tuple

import torch

from .equations import Gram, LargeLeft, LargeRight
from .ridge import Solution, Solver, WideRidge


RIDGE_OF_ALL = 0.1  # relative to that for the chosen rows, as steps end early
MAX_STEPS = 100
PATIENCE = 8  # steps without progress
PROGRESS = 1e-3  # by how much, relatively, the error must decrease
TOLERANCE = 1e-9  # of residuals without other data, relative to the first ones


class LargeRidge(Solver):
    """Ridge regression with rows and columns that are too many for eigenvectors.

    It is solved for random rows, from where :func:`refine` goes on with all of them.
    The posterior is that of the random ones.

    :param left: left sides, with fewer random rows than columns.
    :param scales: as those of :class:`Ridge`.
    """

    def __init__(self, left: LargeLeft, scales: torch.Tensor) -> None:
        self.all, self.chosen = left
        self.of_chosen = WideRidge(self.chosen, scales)
        self.scales = scales
        self.num_rows = (
            self.all.num_rows if isinstance(self.all, Gram) else len(self.all)
        )
        self.num_normal = self.of_chosen.num_normal

    def _times(self, w: torch.Tensor) -> torch.Tensor:
        """:math:`X^T X w`"""
        if isinstance(self.all, Gram):
            return self.all.xx @ w
        return self.all.T @ (self.all @ w)

    def solve(
        self,
        y: LargeRight,
        validation: Optional[Tuple[torch.Tensor, torch.Tensor]] = None,
    ) -> Solution:
        """Choose the strengths with the random rows, and solve with all.

        :param y: right sides of all properties.
        :param validation: other rows ``(other rows, columns)`` and their properties.
        :return: the weights; without other data, the error is that of the choice.
        """
        first = self.of_chosen.solve(y.chosen, validation)
        squares, vectors = self.of_chosen.eigen
        alpha = first.strengths * self.of_chosen.squares.max()
        if validation is not None:
            alpha = RIDGE_OF_ALL * alpha
        eigen = (squares * (self.num_rows / len(self.chosen)), vectors)
        w = refine(
            self._times, y.all.xy, first.weights, alpha, self.scales, eigen, validation
        )
        errors = first.errors
        if validation is not None:
            errors = (validation[0] @ w - validation[1]).square().sum(0)
        return first._replace(weights=w, errors=errors)

    def rest(self, y: LargeRight, weights: torch.Tensor) -> LargeRight:
        """What is left: :meth:`Solver.rest`."""
        products = y.all.rest(self._times(weights), weights)
        return LargeRight(products, y.chosen - self.chosen @ weights)

    def mean_squares(self, y: LargeRight) -> torch.Tensor:
        """The mean squares of right sides: :meth:`Solver.mean_squares`."""
        return y.all.yy.clamp(min=0.0) / self.num_rows

    def draw(self, strength: float, normal: torch.Tensor) -> torch.Tensor:
        """Draw weights for the random rows: :meth:`Solver.draw`."""
        return self.of_chosen.draw(strength, normal)


def refine(
    times: Callable[[torch.Tensor], torch.Tensor],
    xy: torch.Tensor,
    w: torch.Tensor,
    alpha: torch.Tensor,
    scales: torch.Tensor,
    eigen: Tuple[torch.Tensor, torch.Tensor],
    validation: Optional[Tuple[torch.Tensor, torch.Tensor]],
) -> torch.Tensor:
    r"""Go from weights for some of the rows to those for all.

    By conjugate gradients for :math:`(X^T X + \alpha) w = X^T y`, for all properties at
    once, each with steps of its own, conditioned by eigenvectors :math:`V` with
    eigenvalues :math:`s^2` that approximate those of :math:`X^T X`,

    .. math::
        P^{-1} = 1 - V V^T + V \frac{s_{min}^2 + \alpha}{s^2 + \alpha} V^T

    (Z. Frangella, J. A. Tropp, M. Udell, `arXiv:2110.02820
    <https://arxiv.org/abs/2110.02820>`_). For every property, the weights with the
    smallest error on other data are taken, or with the smallest residual of the
    equations.

    :param times: multiplies with :math:`X^T X`.
    :param xy: :math:`X^T y`, ``(columns, properties)``
    :param w: weights to start from, ``(columns, properties)``
    :param alpha: the ridge of each property, ``(properties,)``, of weights divided by
        the scales.
    :param scales: factors of the columns, ``(columns,)``
    :param eigen: eigenvalues ``(rank,)`` and eigenvectors ``(columns, rank)`` for
        columns with these factors.
    :param validation: left and right sides of other data.
    :return: the weights, ``(columns, properties)``
    """
    squares, vectors = eigen
    shrink = (squares.min() + alpha) / (squares.unsqueeze(1) + alpha) - 1.0

    def conditioned(residual: torch.Tensor) -> torch.Tensor:
        return residual + vectors @ (shrink * (vectors.T @ residual))

    def errors() -> torch.Tensor:
        if validation is None:
            return residual.square().sum(0)
        return (validation[0] @ w - validation[1]).square().sum(0)

    scales = scales.unsqueeze(1)
    v = w / scales
    residual = scales * (xy - times(w)) - alpha * v
    best, smallest, since = w, errors(), 0
    end = torch.zeros_like(smallest)
    if validation is None:
        end = TOLERANCE**2 * smallest
    z = conditioned(residual)
    direction, product = z, (residual * z).sum(0)
    for _ in range(MAX_STEPS):
        image = scales * times(scales * direction) + alpha * direction
        # 0 / 0 for properties that are solved exactly
        step = torch.nan_to_num(product / (direction * image).sum(0))
        v, residual = v + step * direction, residual - step * image
        w = scales * v
        present = errors()
        has_progress = bool((present < (1.0 - PROGRESS) * smallest).any())
        since = 0 if has_progress else since + 1
        best = torch.where(present < smallest, w, best)
        smallest = torch.minimum(present, smallest)
        if bool((smallest <= end).all()) or since == PATIENCE:
            break
        z = conditioned(residual)
        last, product = product, (residual * z).sum(0)
        direction = z + torch.nan_to_num(product / last) * direction
    return best
