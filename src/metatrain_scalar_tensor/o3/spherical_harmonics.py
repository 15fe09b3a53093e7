"""Real spherical harmonics."""

import math
from functools import cache

import numpy as np
import torch
from numpy.polynomial import Chebyshev, Legendre


class SphericalHarmonics(torch.nn.Module):
    r"""Real spherical harmonics of unit vectors.

    .. math::
        Y_{lm} = Q_{l|m|}(z) \cdot \begin{cases}
            \mathrm{Re}\,(x + iy)^m & m \ge 0 \\
            \mathrm{Im}\,(x + iy)^{|m|} & m < 0 \end{cases}
        \qquad
        Q_{lm} = \sqrt{(2 - \delta_{m0}) \frac{2l + 1}{4\pi} \frac{(l-m)!}{(l+m)!}}
            \; \frac{\mathrm{d}^m P_l}{\mathrm{d} z^m}

    with the Legendre polynomials :math:`P_l`, normalised to
    :math:`\int |Y_{lm}|^2 \mathrm{d}\hat r = 1`, without the Condon–Shortley phase, as
    in sphericart (Bigi et al., `JCP 159, 064802 (2023)
    <https://doi.org/10.1063/5.0156307>`_). They are evaluated as Chebyshev series,
    which are stable for any ``l``, in plain TorchScript and with derivatives of any
    order.

    :param max_angular: largest ``l``.
    """

    polynomials: torch.Tensor  # (l + 1, l · m), Chebyshev coefficients of Q
    azimuthal: torch.Tensor  # (2 l + 2, l · m), selects real or imaginary part of power

    def __init__(self, max_angular: int) -> None:
        super().__init__()
        self.max_angular = max_angular
        polynomials = np.zeros((max_angular + 1, (max_angular + 1) ** 2))
        azimuthal = np.zeros((2 * max_angular + 2, (max_angular + 1) ** 2))
        for l in range(max_angular + 1):
            for m in range(-l, l + 1):
                q, column = _chebyshev_coefficients(l, abs(m)), l * l + l + m
                polynomials[: len(q), column] = q
                azimuthal[2 * abs(m) + (m < 0), column] = 1.0
        self.register_buffer("polynomials", torch.tensor(polynomials), persistent=False)
        self.register_buffer("azimuthal", torch.tensor(azimuthal), persistent=False)

    def forward(self, directions: torch.Tensor) -> torch.Tensor:
        """Evaluate the harmonics.

        :param directions: unit vectors (x, y, z), ``(samples, 3)``
        :return: harmonics for ``l = 0, ..., max_angular``, each with ``m = -l, ...,
            l``: ``(samples, (max_angular + 1)²)``
        """
        x, y, z = directions.unbind(1)
        chebyshev = [torch.ones_like(z), z]
        equator = torch.complex(x, y)
        powers = [torch.ones_like(equator)]
        for m in range(self.max_angular):
            chebyshev.append(2.0 * z * chebyshev[-1] - chebyshev[-2])
            powers.append(powers[m] * equator)
        q = torch.stack(chebyshev[: self.max_angular + 1], dim=1) @ self.polynomials
        parts = torch.view_as_real(torch.stack(powers, dim=1)).flatten(1)
        return q * (parts @ self.azimuthal)


@cache
def _chebyshev_coefficients(l: int, m: int) -> np.ndarray:
    """Of ``Q_lm`` as defined above; the conversion is slow, and models need it often.

    :return: ``(l - m + 1,)``
    """
    norm = (2 if m != 0 else 1) * (2 * l + 1) / (4 * math.pi)
    norm *= math.factorial(l - m) / math.factorial(l + m)
    derivative = Legendre.basis(l).deriv(m)
    return math.sqrt(norm) * np.real(derivative.convert(kind=Chebyshev).coef)
