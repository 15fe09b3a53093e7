"""Functions on the unit sphere, given by their values on a quadrature grid."""

from functools import cache
from typing import Tuple

import numpy as np
import torch
from scipy.integrate import lebedev_rule

from .components import on_components, on_cpu
from .spherical_harmonics import SphericalHarmonics


# degrees up to which the Lebedev rules with positive weights are exact
_DEGREES = [3, 5, 7, 9, 11, 15, 17, 19, 21, 23, 29, 31, 35, 41, 47, 53, 59, 65, 71, 77]


class SphereGrid(torch.nn.Module):
    r"""Transforms functions on the sphere between coefficients and values.

    .. math::
        f(\hat r) = \sum_{lm} f_{lm} \, Y_{lm}(\hat r)

    at the points of a Lebedev quadrature. Products of tensors, coupled to all ranks at
    once, are products of such functions,

    .. math::
        (y z)_{\lambda\mu} = \int y z \, Y_{\lambda\mu} \, \mathrm{d}\hat r
            = \sum_{l_1 l_2} g_{l_1 l_2 \lambda}
              [y^{l_1} \otimes z^{l_2}]_{\lambda\mu},

    with the Gaunt factors :math:`g`, which vanish for odd :math:`l_1 + l_2 + \lambda`.
    The bracket :math:`\{y, z\} = \hat r \cdot (\nabla y \times \nabla z)` has the odd
    couplings, pseudotensors.

    :param max_angular: largest ``l`` of the functions.
    :param degree: largest sum of the ``l`` of all factors for which integrals must be
        exact.
    :raises ValueError: if there is no rule of that degree.
    """

    harmonics: torch.Tensor  # (points, (max_angular + 1)²)
    slopes: torch.Tensor  # (2 · points, (max_angular + 1)²), along two tangents
    projector: torch.Tensor  # ((max_angular + 1)², points)

    @on_cpu
    def __init__(self, max_angular: int, degree: int) -> None:
        super().__init__()
        rules = [d for d in _DEGREES if d >= degree]
        if len(rules) == 0:
            raise ValueError(
                f"products of functions on the sphere are limited to {_DEGREES[-1]} as "
                f"the sum of their angular channels, this would be {degree}: lower "
                "'max_angular'"
            )
        harmonics, slopes, weights = _on_lebedev_grid(max_angular, rules[0])
        self.num_points = len(weights)
        self.register_buffer("harmonics", harmonics, persistent=False)
        self.register_buffer("slopes", slopes, persistent=False)
        self.register_buffer("projector", harmonics.T * weights, persistent=False)

    def forward(self, coefficients: torch.Tensor) -> torch.Tensor:
        """The values of functions on the grid.

        :param coefficients: ``f_lm``, ``(atoms, (max_angular + 1)², channels)``; the
            first ones may be left out if they are zero.
        :return: ``(atoms, points, channels)``
        """
        return on_components(self.harmonics[:, -coefficients.shape[1] :], coefficients)

    def bracket(self, y: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """The values of the bracket ``{y, z}`` on the grid.

        :param y: coefficients, as in :meth:`forward`.
        :param z: coefficients, as in :meth:`forward`.
        :return: ``(atoms, points, channels)``
        """
        slopes = self.slopes[:, -y.shape[1] :]
        y_t, y_u = on_components(slopes, y).chunk(2, dim=1)
        z_t, z_u = on_components(slopes, z).chunk(2, dim=1)
        return y_t * z_u - y_u * z_t

    def project(self, values: torch.Tensor, max_lambda: int) -> torch.Tensor:
        """The coefficients of functions from their values.

        :param values: ``(atoms, points, channels)``
        :param max_lambda: largest λ to compute, at most ``max_angular``.
        :return: ``(atoms, (max_lambda + 1)², channels)``
        """
        num_rows = (max_lambda + 1) * (max_lambda + 1)  # TorchScript: ** is a float
        return on_components(self.projector[:num_rows], values)


@cache  # the same for all models, some of which have ten of these grids
@torch.inference_mode(False)  # also for models that will be trained
def _on_lebedev_grid(
    max_angular: int, degree: int
) -> Tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Harmonics and their slopes, as in :class:`SphereGrid`, and weights of points."""
    points, weights = lebedev_rule(degree)
    points = torch.from_numpy(np.ascontiguousarray(points.T))  # (points, 3)
    harmonics = SphericalHarmonics(max_angular).double()
    # an orthonormal frame (t, u, r) at every point
    t = torch.linalg.svd(points.unsqueeze(1)).Vh[:, 1]
    u = torch.linalg.cross(points, t)
    slopes = [torch.func.jvp(harmonics, (points,), (d,))[1] for d in (t, u)]
    return harmonics(points), torch.cat(slopes), torch.from_numpy(weights)
