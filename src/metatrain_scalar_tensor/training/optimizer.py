"""The optimizers: Adam, and one whose steps are equal in all directions."""

from typing import Any, Dict, List

import torch


SMALLEST = 8  # rows and columns of a matrix that is worth to orthogonalise


class Muon(torch.optim.Optimizer):
    """Muon for the matrices of linear layers, Adam with AMSGrad for all other weights.

    Muon orthogonalises the momentum of a matrix, so that a step is as large in the
    directions in which gradients are small: Jordan et al.,
    `https://kellerjordan.github.io/posts/muon
    <https://kellerjordan.github.io/posts/muon>`_. Its steps are scaled to the size of
    those of Adam (Liu et al., `arXiv:2502.16982 <https://arxiv.org/abs/2502.16982>`_),
    so that both have one learning rate.

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
            self.parts.append(
                torch.optim.Muon(
                    matrices,
                    lr=learning_rate,
                    weight_decay=0.0,
                    adjust_lr_fn="match_rms_adamw",
                )
            )

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
