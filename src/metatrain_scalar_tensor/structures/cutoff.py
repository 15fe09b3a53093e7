"""The cutoff function."""

import torch

from ..documentation import CutoffHypers


class CutoffFunction(torch.nn.Module):
    """1 up to the cutoff minus its width, 0 from the cutoff on.

    :param hypers: cutoff radius, form and width.
    """

    def __init__(self, hypers: CutoffHypers) -> None:
        super().__init__()
        self.radius = float(hypers["radius"])
        self.width = float(hypers["smoothing"]["width"])
        self.is_smoothstep = hypers["smoothing"]["type"] == "Smoothstep"

    def forward(self, distances: torch.Tensor) -> torch.Tensor:
        """Evaluate the function.

        :param distances: ``(edges,)``
        :return: ``(edges,)``
        """
        t = ((distances - self.radius) / self.width + 1.0).clamp(0.0, 1.0)
        if self.is_smoothstep:
            return 1.0 - t**4 * (35.0 - 84.0 * t + 70.0 * t**2 - 20.0 * t**3)
        return 0.5 * (1.0 + torch.cos(torch.pi * t))
