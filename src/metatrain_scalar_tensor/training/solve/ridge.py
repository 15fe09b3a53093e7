"""Ridge regression for many strengths of the ridge at once."""

from abc import ABC, abstractmethod
from functools import cached_property
from typing import Any, List, NamedTuple, Optional, Tuple

import torch

from .equations import Gram, Products


STRENGTHS = 10.0 ** torch.arange(-14.0, 0.5, 0.5, dtype=torch.float64)
"""What is tried, relative to the largest eigenvalue."""
ROUNDING = 1e-11  # of eigenvalues, relative to the largest


class Solution(NamedTuple):
    """The weights of the chosen strengths, one for each property."""

    weights: torch.Tensor  # (columns, properties)
    strengths: torch.Tensor  # (properties,), relative to the largest eigenvalue
    num_parameters: torch.Tensor  # (properties,), effective numbers, of the columns
    errors: torch.Tensor  # (properties,), by which solutions are compared

    def or_better(self, other: "Solution") -> "Solution":
        """For each property this one or another, whose error is smaller."""
        is_better = other.errors < self.errors
        return Solution(
            *(torch.where(is_better, y, x) for x, y in zip(self, other, strict=True))
        )


class Solver(ABC):
    """Finds weights for left sides that it has, and for any right sides."""

    num_rows: int
    """Number of equations"""
    num_normal: int
    """How many normal numbers a draw of weights takes"""

    @abstractmethod
    def solve(
        self, y: Any, validation: Optional[Tuple[torch.Tensor, torch.Tensor]] = None
    ) -> Solution:
        """Choose the strength of the ridge for every property, and solve.

        :param y: right sides of all properties: those of a :class:`Regression`.
        :param validation: other rows ``(other rows, columns)`` and their properties.
        :return: the weights.
        """

    @abstractmethod
    def rest(self, y: Any, weights: torch.Tensor) -> Any:
        """What is left of the right sides, :math:`y - X w`.

        :param y: right sides.
        :param weights: weights, ``(columns, properties)``
        """

    @abstractmethod
    def mean_squares(self, y: Any) -> torch.Tensor:
        """The mean squares of right sides, ``(properties,)``."""

    @abstractmethod
    def draw(self, strength: float, normal: torch.Tensor) -> torch.Tensor:
        r"""Draw weights from their posterior, as differences from its mean.

        It is that of weights with the prior variance :math:`1 / \alpha` and of errors
        with variance one, whose covariance is :math:`(X^T X + \alpha)^{-1}`.

        :param strength: strength of the ridge, relative to the largest eigenvalue.
        :param normal: independent normal numbers, ``(num_normal, draws)``
        :return: ``(columns, draws)``
        """


class Ridge(Solver):
    r"""The minima of :math:`|X w - y|^2 + \alpha |w|^2` for all :math:`\alpha`.

    .. math::
        w(\alpha) = V \frac{1}{s^2 + \alpha} V^T X^T y
        = X^T U \frac{1}{s^2 + \alpha} U^T y

    with the eigenvectors of :math:`X^T X = V s^2 V^T` (:class:`TallRidge`) or, where
    rows are fewer than columns, of :math:`X X^T = U s^2 U^T` (:class:`WideRidge`;
    Hoerl and Kennard, `Technometrics 12, 55 (1970)
    <https://doi.org/10.1080/00401706.1970.10488634>`_). The two forms are not mixed: V
    from U would be wrong by the rounding of the largest eigenvalue, which is more than
    the smallest that count.

    :param gram: the matrix whose eigenvectors these are.
    :param scales: factors of the columns, ``(columns,)``; those of larger factors are
        less penalised.
    :param num_rows: number of rows of :math:`X`.
    """

    def __init__(self, gram: torch.Tensor, scales: torch.Tensor, num_rows: int) -> None:
        self.scales = scales
        self.num_rows = num_rows
        squares, self.vectors = torch.linalg.eigh(gram)
        self.squares = squares.clamp(min=0.0)  # (rank,), below are rounding errors

    @abstractmethod
    def _projected(self, y: Any) -> torch.Tensor:
        """:math:`V^T X^T y` or :math:`U^T y`, ``(rank, properties)``"""

    @abstractmethod
    def _residual(
        self, y: Any, w: torch.Tensor, t: torch.Tensor, alpha: torch.Tensor
    ) -> torch.Tensor:
        """:math:`|X w - y|^2`, for weights of eigenvectors and the projected y."""

    @abstractmethod
    def _on_vectors(self, x: torch.Tensor) -> torch.Tensor:
        """Other left sides, scaled, for weights of eigenvectors: ``(rows, rank)``."""

    @abstractmethod
    def _weights(self, w: torch.Tensor) -> torch.Tensor:
        """Weights of the scaled columns from those of eigenvectors."""

    def solve(
        self, y: Any, validation: Optional[Tuple[torch.Tensor, torch.Tensor]] = None
    ) -> Solution:
        r"""Choose the strengths of the ridge, and solve: :meth:`Solver.solve`.

        By the error on other data or, without them, by generalised cross validation
        (Golub, Heath and Wahba, `Technometrics 21, 215 (1979)
        <https://doi.org/10.1080/00401706.1979.10489751>`_),

        .. math::
            \frac{|X w - y|^2}{(n - p)^2}, \qquad
            p = \sum_k \frac{s_k^2}{s_k^2 + \alpha}

        with the number of rows :math:`n`.
        """
        squares = self.squares.unsqueeze(1)
        t = self._projected(y)
        alphas = STRENGTHS.to(t.device) * self.squares.max()
        num_parameters = (squares / (squares + alphas)).sum(0)  # (strengths,)
        errors: List[torch.Tensor] = []
        if validation is not None:
            others = self._on_vectors(validation[0] * self.scales)
        for alpha, number in zip(alphas, num_parameters):
            w = t / (squares + alpha)
            if validation is not None:
                errors.append((others @ w - validation[1]).square().sum(0))
            else:
                residual = self._residual(y, w, t, alpha).clamp(min=0.0)
                errors.append(residual / (self.num_rows - number).square())
        smallest, best = torch.stack(errors).min(0)  # of each property
        w = self._weights(t / (squares + alphas[best]))
        return Solution(
            self.scales.unsqueeze(1) * w,
            STRENGTHS.to(t.device)[best],
            num_parameters[best],
            smallest,
        )


class TallRidge(Ridge):
    """Ridge regression with more rows than columns: from the normal equations.

    :param gram: sums of products of left sides.
    :param scales: as those of :class:`Ridge`.
    """

    def __init__(self, gram: Gram, scales: torch.Tensor) -> None:
        self.xx = gram.xx
        scaled = scales.unsqueeze(1) * gram.xx * scales
        super().__init__(scaled, scales, gram.num_rows)
        self.num_normal = len(scales)

    def _projected(self, y: Products) -> torch.Tensor:
        return self.vectors.T @ (self.scales.unsqueeze(1) * y.xy)

    def _residual(
        self, y: Products, w: torch.Tensor, t: torch.Tensor, alpha: torch.Tensor
    ) -> torch.Tensor:
        return y.yy - (w * (2 * t - self.squares.unsqueeze(1) * w)).sum(0)

    def _on_vectors(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.vectors

    def _weights(self, w: torch.Tensor) -> torch.Tensor:
        return self.vectors @ w

    def rest(self, y: Products, weights: torch.Tensor) -> Products:
        """What is left: :meth:`Solver.rest`."""
        return y.rest(self.xx @ weights, weights)

    def mean_squares(self, y: Products) -> torch.Tensor:
        """The mean squares of right sides: :meth:`Solver.mean_squares`."""
        return y.yy.clamp(min=0.0) / self.num_rows

    def draw(self, strength: float, normal: torch.Tensor) -> torch.Tensor:
        r"""Draw weights from their posterior: :meth:`Solver.draw`.

        .. math::
            \delta = V (s^2 + \alpha)^{-1/2} \, \epsilon

        :param strength: strength of the ridge, relative to the largest eigenvalue.
        :param normal: independent normal numbers :math:`\epsilon`.
        """
        alpha = strength * self.squares.max()
        delta = self.vectors @ (normal / (self.squares.unsqueeze(1) + alpha).sqrt())
        return self.scales.unsqueeze(1) * delta


class WideRidge(Ridge):
    """Ridge regression with fewer rows than columns: the dual form.

    :param x: left sides, ``(rows, columns)``
    :param scales: as those of :class:`Ridge`.
    """

    def __init__(self, x: torch.Tensor, scales: torch.Tensor) -> None:
        self.x = x  # without the scales, which would need a copy for each choice
        super().__init__((x * scales.square()) @ x.T, scales, len(x))
        self.num_normal = sum(x.shape)

    def _projected(self, y: torch.Tensor) -> torch.Tensor:
        return self.vectors.T @ y

    def _residual(
        self, y: torch.Tensor, w: torch.Tensor, t: torch.Tensor, alpha: torch.Tensor
    ) -> torch.Tensor:
        return (alpha * w).square().sum(0)

    def _on_vectors(self, x: torch.Tensor) -> torch.Tensor:
        return (x * self.scales) @ self.x.T @ self.vectors

    def _weights(self, w: torch.Tensor) -> torch.Tensor:
        return self._transposed(self.vectors @ w)

    def _transposed(self, y: torch.Tensor) -> torch.Tensor:
        """:math:`X^T y` with the scaled :math:`X`, ``(columns, ...)``"""
        return self.scales.unsqueeze(1) * (self.x.T @ y)

    def rest(self, y: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """What is left: :meth:`Solver.rest`."""
        return y - self.x @ weights

    def mean_squares(self, y: torch.Tensor) -> torch.Tensor:
        """The mean squares of right sides: :meth:`Solver.mean_squares`."""
        return y.square().mean(0)

    @cached_property
    def eigen(self) -> Tuple[torch.Tensor, torch.Tensor]:
        """The eigenvalues and eigenvectors of :math:`X^T X` that are not zero.

        :return: ``(rank,)`` and, with the precision of a float32, ``(columns, rank)``
        """
        counts = self.squares > ROUNDING * self.squares.max()
        squares, vectors = self.squares[counts], self.vectors[:, counts]
        return squares, self._transposed(vectors / squares.sqrt())

    def draw(self, strength: float, normal: torch.Tensor) -> torch.Tensor:
        r"""Draw weights from their posterior: :meth:`Solver.draw`.

        .. math::
            \delta = \alpha^{-1/2} \epsilon - X^T U \frac{1}{s^2 + \alpha} U^T
                \left( \alpha^{-1/2} X \epsilon + \eta \right)

        which is Matheron's rule: a draw from the prior, corrected by what the equations
        say about it (Wilson et al., `arXiv:2002.09309
        <https://arxiv.org/abs/2002.09309>`_).

        :param strength: strength of the ridge, relative to the largest eigenvalue.
        :param normal: independent normal numbers :math:`\epsilon` and :math:`\eta`.
        """
        alpha = strength * self.squares.max()
        epsilon, eta = normal.split([self.x.shape[1], self.x.shape[0]])
        prior = epsilon / alpha.sqrt()
        of_rows = self.x @ (self.scales.unsqueeze(1) * prior)
        said = self.vectors.T @ (of_rows + eta)  # (rank, draws)
        w = said / (self.squares.unsqueeze(1) + alpha)
        return self.scales.unsqueeze(1) * (prior - self._weights(w))
