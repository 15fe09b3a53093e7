"""Learned radial functions, from Bessel functions of the distance."""

import math
from typing import Tuple

import torch

from ..documentation import ExpansionHypers
from .cutoff import CutoffFunction


NUM_BESSEL = 8  # as in DimeNet and MACE
WIDTH = 64  # of the hidden layer


class BesselFunctions(torch.nn.Module):
    r"""Radial functions :math:`R_n(r) f_c(r)`, the same for all ``l``.

    .. math::
        R(r) = W \, \mathrm{SiLU}\left( V b(r) + c \right), \qquad
        b_k(r) = \sqrt{\frac{2}{r_\mathrm{cut}}} \,
            \frac{\sin(k \pi r / r_\mathrm{cut})}{r} \, f_c(r)

    The Bessel functions are those of Gasteiger, Groß and Günnemann, `arXiv:2003.03123
    <https://arxiv.org/abs/2003.03123>`_; Batatia et al., `arXiv:2206.07697
    <https://arxiv.org/abs/2206.07697>`_, put a network behind them.

    :param hypers: the density, of which cutoff and number of functions are used.
    """

    wave_numbers: torch.Tensor  # (k,)
    mixing: torch.Tensor  # (n, l · n), the same functions for every l

    def __init__(self, hypers: ExpansionHypers) -> None:
        super().__init__()
        basis = hypers["basis"]
        num_functions = basis["radial"]["max_radial"] + 1
        self.radius = float(hypers["cutoff"]["radius"])
        self.cutoff = CutoffFunction(hypers["cutoff"])
        self.network = torch.nn.Sequential(
            torch.nn.Linear(NUM_BESSEL, WIDTH),
            torch.nn.SiLU(),
            torch.nn.Linear(WIDTH, num_functions, bias=False),
        )
        k = torch.arange(1, NUM_BESSEL + 1, dtype=torch.float64)
        self.register_buffer("wave_numbers", k * math.pi / self.radius, False)
        mixing = torch.eye(num_functions).double().repeat(1, basis["max_angular"] + 1)
        self.register_buffer("mixing", mixing, persistent=False)

    def forward(self, distances: torch.Tensor) -> Tuple[torch.Tensor, torch.Tensor]:
        """Evaluate the Bessel functions, which do not change in training.

        :param distances: at most the cutoff, ``(edges,)``
        :return: the functions, ``(edges, k)``, and the cutoff function, ``(edges, 1)``
        """
        r = distances.unsqueeze(1)
        cutoff = self.cutoff(distances).unsqueeze(1)
        bessel = math.sqrt(2.0 / self.radius) * torch.sin(self.wave_numbers * r) / r
        return bessel * cutoff, cutoff

    @torch.jit.export
    def refine(self, bessel: torch.Tensor, cutoff: torch.Tensor) -> torch.Tensor:
        """The learned functions, ``(edges, n)``, from what :meth:`forward` returns."""
        return self.network(bessel) * cutoff

    @torch.jit.export
    def mixing_of(self, functions: torch.Tensor) -> torch.Tensor:
        """The matrix from these to the radial functions of every l, ``(n, l · n)``."""
        return self.mixing
