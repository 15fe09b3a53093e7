"""The radial basis of featomic, as Chebyshev series."""

import json
import logging
from functools import lru_cache
from typing import Tuple

import ase
import featomic
import numpy as np
import torch
from numpy.polynomial import chebyshev

from ..documentation import ExpansionHypers
from .bessel import BesselFunctions
from .cutoff import CutoffFunction


_TOLERANCE = 1e-12  # error of the series, relative to the largest value
_FLOAT32_TOLERANCE = float(np.finfo(np.float32).eps)
_POINTS_PER_WIDTH = 16  # evaluations of featomic per width of its Gaussians


def _exact_expansion(hypers: ExpansionHypers) -> featomic.SphericalExpansion:
    """The expansion by featomic, without splines and without cutoff function."""
    return featomic.SphericalExpansion(
        cutoff={
            "radius": hypers["cutoff"]["radius"],
            "smoothing": {"type": "Step"},
        },
        density=hypers["density"],
        basis={**hypers["basis"], "spline_accuracy": None},
    )


def _sample(hypers: ExpansionHypers, distances: np.ndarray) -> np.ndarray:
    """``R_nl(r)`` from the density of one neighbor on the z axis, ``(r, l · n)``."""
    frames = [ase.Atoms("HHe", [[0, 0, 0], [0, 0, r]]) for r in distances]
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)  # "atoms are very close to one another"
    try:
        expansion = _exact_expansion(hypers).compute(frames)
    finally:
        logging.disable(level)
    radial = []
    for l in range(hypers["basis"]["max_angular"] + 1):
        block = expansion.block(o3_lambda=l, center_type=1, neighbor_type=2)
        assert len(block.samples) == len(distances)
        radial.append(block.values[:, l] / np.sqrt((2 * l + 1) / (4 * np.pi)))
    return np.concatenate(radial, axis=1)


@lru_cache(maxsize=16)
def _chebyshev_series(hypers_json: str) -> np.ndarray:
    """Chebyshev coefficients, ``(degree + 1, l · n)``."""
    hypers = json.loads(hypers_json)
    radius = hypers["cutoff"]["radius"]
    num_points = 64 + int(_POINTS_PER_WIDTH * radius / hypers["density"]["width"])
    series: np.ndarray = chebyshev.chebinterpolate(  # numpy's stubs know 1D only
        lambda x: _sample(hypers, radius * 0.5 * (1 + x)),  # type: ignore[type-var]
        num_points - 1,
    )
    tail = np.abs(series)[::-1].cumsum(0)[::-1].max(1)  # sum of this and further terms
    return series[tail > _TOLERANCE * np.abs(series).max()]


def density_of_center(hypers: ExpansionHypers) -> torch.Tensor:
    """The contribution of an atom to its own density, which has l = 0 only.

    Bessel functions describe neighbors alone.

    :param hypers: the density.
    :return: ``(n,)``
    """
    if hypers["basis"]["radial"]["type"] == "Bessel":
        return torch.zeros(hypers["basis"]["radial"]["max_radial"] + 1).double()
    lone = _exact_expansion(hypers).compute(ase.Atoms("H", [[0, 0, 0]]))
    block = lone.block(o3_lambda=0, center_type=1, neighbor_type=1)
    return torch.tensor(block.values[0, 0])


class RadialFunctions(torch.nn.Module):
    r"""The radial functions :math:`R_{nl}(r) f_c(r)` of featomic's expansion.

    .. math::
        R_{nl}(r) = \sum_p \varphi_p(r) \, M_{p,nl}, \qquad
        \varphi_p(r) = \sum_k a_{kp} \cos(k \theta), \qquad
            \cos \theta = 2 r / r_\mathrm{cut} - 1

    The Chebyshev series agree with featomic's exact evaluation, including Gaussians and
    radial scaling, to 1e-12. The functions of all ``l`` and ``n`` are similar: a
    singular value decomposition of the series leaves less than half as many principal
    functions :math:`\varphi_p`, and only these need to be summed over neighbors.

    :param hypers: arguments of featomic's ``SphericalExpansion``.
    """

    series: torch.Tensor  # (degree + 1, principal functions)
    mixing: torch.Tensor  # (principal functions, l · n)
    orders: torch.Tensor  # 0 ... degree

    def __init__(self, hypers: ExpansionHypers) -> None:
        super().__init__()
        self.radius = float(hypers["cutoff"]["radius"])
        self.cutoff = CutoffFunction(hypers["cutoff"])
        series = _chebyshev_series(json.dumps(hypers, sort_keys=True))
        u, s, v = np.linalg.svd(series, full_matrices=False)
        num_functions = np.count_nonzero(s > _TOLERANCE * s[0])
        # the last functions and the last terms are below float32 precision
        self.num_float32_functions = int(
            np.count_nonzero(s > _FLOAT32_TOLERANCE * s[0])
        )
        is_seen = np.abs(series).max(1) > _FLOAT32_TOLERANCE * np.abs(series).max()
        self.num_float32_terms = int(np.flatnonzero(is_seen)[-1]) + 1
        buffers = {
            "series": u[:, :num_functions],
            "mixing": s[:num_functions, np.newaxis] * v[:num_functions],
            "orders": np.arange(len(series), dtype=np.float64),
        }
        for name, values in buffers.items():
            self.register_buffer(name, torch.tensor(values), persistent=False)

    def forward(self, distances: torch.Tensor) -> Tuple[torch.Tensor, torch.Tensor]:
        """Evaluate the principal functions.

        :param distances: at most the cutoff, ``(edges,)``
        :return: the principal functions times the cutoff function, ``(edges, p)``, and
            the cutoff function, ``(edges, 1)``
        """
        series, orders = self.series, self.orders
        if distances.dtype == torch.float32:
            series = series[: self.num_float32_terms, : self.num_float32_functions]
            orders = orders[: self.num_float32_terms]
        # θ is not differentiable at the cutoff itself, where all functions are zero
        theta = torch.acos((2.0 / self.radius * distances - 1.0).clamp(max=1 - 1e-6))
        functions = torch.cos(theta.unsqueeze(1) * orders) @ series
        cutoff = self.cutoff(distances).unsqueeze(1)
        return functions * cutoff, cutoff

    @torch.jit.export
    def refine(self, functions: torch.Tensor, cutoff: torch.Tensor) -> torch.Tensor:
        """Nothing: these functions have no weights, ``(edges, p)``."""
        return functions

    @torch.jit.export
    def mixing_of(self, functions: torch.Tensor) -> torch.Tensor:
        """The matrix from principal to radial functions, ``(p, l · n)``."""
        return self.mixing[: functions.shape[1]]


def radial_functions(hypers: ExpansionHypers) -> torch.nn.Module:
    """The radial functions of a density.

    Both kinds have ``forward(distances)``, which returns functions that do not change
    in training and the cutoff function, ``refine``, which makes radial functions of
    them, and ``mixing_of``, the matrix from these to :math:`R_{nl}`.

    :param hypers: the density.
    """
    if hypers["basis"]["radial"]["type"] == "Bessel":
        return BesselFunctions(hypers)
    return RadialFunctions(hypers)
