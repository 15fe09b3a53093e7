"""The optimizers: Adam, and one whose steps are equal in all directions."""

from typing import Any, Dict, List

import torch


SMALLEST = 8  # rows and columns of a matrix that is worth to orthogonalise
MOMENTUM = 0.95


class OrthogonalSteps(torch.optim.Optimizer):
    r"""Muon: the momentum of every matrix, with all of its singular values near one.

    A step is then as large in the directions in which gradients are small: Jordan et
    al., `https://kellerjordan.github.io/posts/muon
    <https://kellerjordan.github.io/posts/muon>`_. Its root mean square is 0.2 learning
    rates, as of Adam (Liu et al., `arXiv:2502.16982
    <https://arxiv.org/abs/2502.16982>`_), so that both have one learning rate.

    These are the steps of :class:`torch.optim.Muon`, but for all matrices of one shape
    at once, and in their own precision instead of ``bfloat16``: for small matrices on a
    CPU, that takes a tenth of the time.

    :param matrices: weights of linear layers.
    :param learning_rate: the learning rate.
    """

    def __init__(
        self, matrices: List[torch.nn.Parameter], learning_rate: float
    ) -> None:
        super().__init__(matrices, {"lr": learning_rate})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Update all matrices that have a gradient."""
        of_shapes: Dict[torch.Size, List[torch.nn.Parameter]] = {}
        for matrix in self.param_groups[0]["params"]:
            if matrix.grad is not None:
                of_shapes.setdefault(matrix.shape, []).append(matrix)
        for shape, matrices in of_shapes.items():
            gradients = torch.stack([m.grad for m in matrices])  # type: ignore[misc]
            zeros = torch.zeros_like(gradients[0])
            momenta = torch.stack(
                [self.state[matrix].get("momentum", zeros) for matrix in matrices]
            ).lerp_(gradients, 1.0 - MOMENTUM)
            steps = nearly_orthogonal(gradients.lerp_(momenta, MOMENTUM))
            size = 0.2 * max(shape) ** 0.5 * self.param_groups[0]["lr"]
            for matrix, momentum, step in zip(matrices, momenta, steps, strict=True):
                self.state[matrix]["momentum"] = momentum
                matrix.sub_(step, alpha=size)


def nearly_orthogonal(matrices: torch.Tensor) -> torch.Tensor:
    """Matrices with the same singular vectors and singular values near one.

    Five steps of the Newton-Schulz iteration of the source above, with its
    coefficients, which bring singular values above 10⁻³ of the norm to 0.5 to 1.5.

    :param matrices: ``(n, rows, columns)``
    :return: the same shape.
    """
    if matrices.shape[1] > matrices.shape[2]:
        return nearly_orthogonal(matrices.mT).mT
    norms = torch.linalg.matrix_norm(matrices, keepdim=True)
    x = matrices / norms.clamp(min=torch.finfo(matrices.dtype).tiny)
    a, b, c = 3.4445, -4.7750, 2.0315
    for _ in range(5):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x


class Muon(torch.optim.Optimizer):
    """Muon for the matrices of linear layers, Adam with AMSGrad for all other weights.

    :param matrices: weights of linear layers.
    :param others: all other weights.
    :param learning_rate: the learning rate.
    """

    def __init__(
        self,
        matrices: List[torch.nn.Parameter],
        others: List[torch.nn.Parameter],
        learning_rate: float,
    ) -> None:
        super().__init__([*matrices, *others], {"lr": learning_rate})
        self.parts: List[torch.optim.Optimizer] = [
            torch.optim.Adam(others, lr=learning_rate, amsgrad=True, fused=True)
        ]
        if len(matrices) > 0:
            self.parts.append(OrthogonalSteps(matrices, learning_rate))

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Update all weights with the present learning rate."""
        for part in self.parts:
            part.param_groups[0]["lr"] = self.param_groups[0]["lr"]
            part.step()

    def state_dict(self) -> Dict[str, Any]:
        """The state of both parts."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: Dict[str, Any]) -> None:
        """Restore the state."""
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)


def make_optimizer(
    kind: str,
    model: torch.nn.Module,
    weights: List[torch.nn.Parameter],
    learning_rate: float,
) -> torch.optim.Optimizer:
    """The optimizer of some weights.

    :param kind: ``Adam`` or ``Muon``.
    :param model: the model, whose linear layers have the matrices.
    :param weights: the weights to train.
    :param learning_rate: the largest learning rate.
    """
    if kind == "Adam":
        return torch.optim.Adam(weights, lr=learning_rate, fused=True)
    of_layers = {
        id(module.weight)
        for module in model.modules()
        if isinstance(module, torch.nn.Linear) and min(module.weight.shape) >= SMALLEST
    }
    return Muon(
        [w for w in weights if id(w) in of_layers],
        [w for w in weights if id(w) not in of_layers],
        learning_rate,
    )
