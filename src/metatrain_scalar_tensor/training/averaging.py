"""Moving averages of the weights."""

from contextlib import contextmanager
from typing import Dict, Iterator, Optional

import torch


class WeightAverage:
    r"""The exponential moving average of a model's weights.

    :math:`\bar w \leftarrow \beta \bar w + (1 - \beta) w` after step :math:`n`, where
    the decay :math:`\beta` grows to its value as :math:`(1 + n) / (10 + n)`, so that
    the initial weights are forgotten.

    :param model: model whose parameters to average.
    :param decay: decay β; ``None`` to use the weights themselves.
    """

    def __init__(self, model: torch.nn.Module, decay: Optional[float]) -> None:
        self.decay = decay
        self.parameters = dict(model.named_parameters())
        self.num_steps = 0
        self.averages: Dict[str, torch.Tensor] = {}
        if decay is not None:
            self.averages = {
                name: parameter.detach().clone()
                for name, parameter in self.parameters.items()
            }

    @torch.no_grad()
    def update(self) -> None:
        """Add the current weights to the average."""
        if self.decay is None:
            return
        self.num_steps += 1
        decay = min(self.decay, (1 + self.num_steps) / (10 + self.num_steps))
        for name, average in self.averages.items():
            average.lerp_(self.parameters[name], 1.0 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Context in which the model has the averaged weights."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for name, average in self.averages.items():
            current = self.parameters[name].clone()
            self.parameters[name].copy_(average)
            average.copy_(current)

    def state_dict(self) -> Dict:
        """The state, for a checkpoint."""
        return {"num_steps": self.num_steps, "averages": self.averages}

    def load_state_dict(self, state: Dict) -> None:
        """Restore the state from a checkpoint."""
        self.num_steps = state["num_steps"]
        for name, average in self.averages.items():
            if name in state["averages"]:
                average.copy_(state["averages"][name])
