"""Ridge regression for many strengths of the ridge at once."""

from typing import List, NamedTuple, Optional, Tuple

import torch


STRENGTHS = 10.0 ** torch.arange(-14.0, 0.5, 0.5, dtype=torch.float64)
"""What is tried, relative to the largest eigenvalue."""
ROUNDING = 1e-11  # of eigenvalues, relative to the largest


class Solution(NamedTuple):
    """The weights of the chosen strength."""

    weights: torch.Tensor  # (columns, properties)
    strength: float  # relative to the largest eigenvalue
    num_parameters: float  # effective number, of the columns
    error: float  # by which solutions for the same values are compared


class Ridge:
    r"""The minima of :math:`|X w - y|^2 + \alpha |w|^2` for all :math:`\alpha`.

    .. math::
        w(\alpha) = V \frac{1}{s^2 + \alpha} V^T X^T y
        = X^T U \frac{1}{s^2 + \alpha} U^T y

    with the eigenvectors of :math:`X^T X = V s^2 V^T` or, where rows are fewer than
    columns, of :math:`X X^T = U s^2 U^T` (Hoerl and Kennard, `Technometrics 12, 55
    (1970) <https://doi.org/10.1080/00401706.1970.10488634>`_). The two forms are not
    mixed: V from U would be wrong by the rounding of the largest eigenvalue, which is
    more than the smallest that count.

    :param x: float64, ``(rows, columns)``
    :param scales: factors of the columns, ``(columns,)``; those of larger factors are
        less penalised.
    """

    def __init__(self, x: torch.Tensor, scales: torch.Tensor) -> None:
        self.x = x = x * scales
        self.scales = scales
        self.is_wide = x.shape[0] < x.shape[1]
        squares, self.vectors = torch.linalg.eigh(x @ x.T if self.is_wide else x.T @ x)
        self.squares = squares.clamp(min=0.0)  # (rank,), below are rounding errors

    def solve(
        self,
        y: torch.Tensor,
        validation: Optional[Tuple[torch.Tensor, torch.Tensor]] = None,
    ) -> Solution:
        r"""Choose the strength, and solve.

        By the error on other data or, without them, by generalised cross validation
        (Golub, Heath and Wahba, `Technometrics 21, 215 (1979)
        <https://doi.org/10.1080/00401706.1979.10489751>`_),

        .. math::
            \frac{|X w - y|^2}{(n - p)^2}, \qquad
            p = \sum_k \frac{s_k^2}{s_k^2 + \alpha}

        with the number of rows :math:`n`.

        :param y: all properties, ``(rows, properties)``
        :param validation: other rows ``(other rows, columns)`` and their properties.
        :return: the weights.
        """
        squares = self.squares.unsqueeze(1)
        t = self.vectors.T @ (y if self.is_wide else self.x.T @ y)  # (rank, properties)
        alphas = STRENGTHS.to(y.device) * self.squares.max()
        num_parameters = (squares / (squares + alphas)).sum(0)  # (strengths,)
        errors: List[torch.Tensor] = []
        if validation is not None:
            others = validation[0] * self.scales
            others = others @ self.x.T if self.is_wide else others
            projected = others @ self.vectors  # (other rows, rank)
        for alpha, number in zip(alphas, num_parameters):
            w = t / (squares + alpha)
            if validation is not None:
                errors.append((projected @ w - validation[1]).square().sum())
            else:
                if self.is_wide:
                    residual = (alpha * w).square().sum()
                else:
                    residual = y.square().sum() - (w * (2 * t - squares * w)).sum()
                errors.append(residual.clamp(min=0.0) / (len(y) - number).square())
        best = int(torch.stack(errors).argmin())
        w = self.vectors @ (t / (squares + alphas[best]))
        w = self.x.T @ w if self.is_wide else w  # (columns, properties)
        return Solution(
            self.scales.unsqueeze(1) * w,
            float(STRENGTHS[best]),
            float(num_parameters[best]),
            float(errors[best]),
        )

    def eigen(self) -> Tuple[torch.Tensor, torch.Tensor]:
        """The eigenvalues and eigenvectors of :math:`X^T X` that are not zero.

        :return: ``(rank,)`` and, with the precision of a float32, ``(columns, rank)``
        """
        counts = self.squares > ROUNDING * self.squares.max()
        squares, vectors = self.squares[counts], self.vectors[:, counts]
        if self.is_wide:
            vectors = self.x.T @ (vectors / squares.sqrt())
        return squares, vectors

    def predict(self, weights: torch.Tensor) -> torch.Tensor:
        """The right sides for some weights, ``(rows, properties)``."""
        return self.x @ (weights / self.scales.unsqueeze(1))

    @property
    def num_normal(self) -> int:
        """How many normal numbers a draw of weights takes."""
        return sum(self.x.shape) if self.is_wide else self.x.shape[1]

    def draw(self, strength: float, normal: torch.Tensor) -> torch.Tensor:
        r"""Draw weights from their posterior, as differences from its mean.

        It is that of weights with the prior variance :math:`1 / \alpha` and of errors
        with variance one, whose covariance is :math:`(X^T X + \alpha)^{-1}`:

        .. math::
            \delta = V (s^2 + \alpha)^{-1/2} \, \epsilon \qquad \text{or} \qquad
            \delta = \alpha^{-1/2} \epsilon - X^T U \frac{1}{s^2 + \alpha} U^T
                \left( \alpha^{-1/2} X \epsilon + \eta \right)

        with normal numbers :math:`\epsilon` and :math:`\eta`. The second form, where
        rows are fewer than columns, is Matheron's rule: a draw from the prior,
        corrected by what the equations say about it (Wilson et al., `arXiv:2002.09309
        <https://arxiv.org/abs/2002.09309>`_).

        :param strength: strength of the ridge, relative to the largest eigenvalue.
        :param normal: independent normal numbers, ``(num_normal, draws)``
        :return: ``(columns, draws)``
        """
        alpha = strength * self.squares.max()
        squares = self.squares.unsqueeze(1)
        if self.is_wide:
            epsilon, eta = normal.split([self.x.shape[1], self.x.shape[0]])
            prior = epsilon / alpha.sqrt()
            said = self.vectors.T @ (self.x @ prior + eta)  # (rank, draws)
            delta = prior - self.x.T @ (self.vectors @ (said / (squares + alpha)))
        else:
            delta = self.vectors @ (normal / (squares + alpha).sqrt())
        return self.scales.unsqueeze(1) * delta
