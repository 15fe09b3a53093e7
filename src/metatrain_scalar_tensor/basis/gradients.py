"""Tensors that are gradients of learned invariants."""

import torch

from .contraction import Contraction


NUM_HIDDEN = 64  # hidden width of the invariant


class GradientBasis(torch.nn.Module):
    r"""The gradients of a learned invariant of tensors with respect to them.

    .. math::
        z = \sum_k w_k \, \mathrm{SiLU}(u_k), \qquad
        u_k = \sum_{cd} A_{k,cd} \, G_{cd} + b_k, \qquad
        G_{cd} = \frac{y_c \cdot y_d}{2\lambda + 1}

    .. math::
        B_c = \frac{2\lambda + 1}{2} \, \frac{\partial z}{\partial y_c}
            = \frac12 \sum_d \Big[ \sum_k w_k \, \mathrm{SiLU}'(u_k)
                \left( A_k + A_k^T \right)_{cd} \Big] \, y_d

    with channels :math:`y`, learned combinations of the other tensors of the symmetry:
    TraceGrad, Yin et al., `arXiv:2405.05722 <https://arxiv.org/abs/2405.05722>`_. They
    are nonlinear functions of the tensors that keep equivariance. The derivative is
    written out, so that a forward pass needs no automatic differentiation.

    :param num_inputs: number of tensors of the symmetry.
    :param num_channels: number of channels, and of gradients.
    """

    def __init__(self, num_inputs: int, num_channels: int) -> None:
        super().__init__()
        self.num_tensors = num_channels
        self.channels = Contraction(num_inputs, num_channels)
        self.hidden = torch.nn.Linear(num_channels * num_channels, NUM_HIDDEN)
        # scaled to make the gradients as large as the channels
        weights = torch.randn(NUM_HIDDEN) * (2 * num_channels / NUM_HIDDEN) ** 0.5
        self.weights = torch.nn.Parameter(weights)
        torch.nn.init.normal_(self.hidden.weight, std=1 / num_channels)

    def invariant(self, y: torch.Tensor) -> torch.Tensor:
        """The invariant ``z`` of channels, ``(atoms, 2λ + 1, c)``: ``(atoms,)``."""
        return torch.nn.functional.silu(self._hidden(y)) @ self.weights

    def forward(self, tensors: torch.Tensor) -> torch.Tensor:
        """Evaluate the gradients.

        :param tensors: ``(atoms, 2λ + 1, num_inputs)``
        :return: ``(atoms, 2λ + 1, num_channels)``
        """
        y = self.channels(tensors)  # (atoms, 2λ + 1, c)
        u = self._hidden(y)
        s = torch.sigmoid(u)
        slopes = self.weights * s * (1.0 + u * (1.0 - s))  # (atoms, k)
        matrix = slopes @ self.hidden.weight  # (atoms, c · c)
        matrix = matrix.reshape(len(y), y.shape[2], y.shape[2])
        return y @ (0.5 * (matrix + matrix.transpose(1, 2)))

    def _hidden(self, y: torch.Tensor) -> torch.Tensor:
        gram = y.transpose(1, 2) @ y / y.shape[1]  # (atoms, c, c)
        return self.hidden(gram.flatten(1))  # (atoms, k)
