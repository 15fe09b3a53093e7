"""Rotation-invariant scalars from the density."""

import math
from typing import List

import numpy as np
import torch

from .o3 import SphereGrid, on_components


class PowerSpectrum(torch.nn.Module):
    r"""The SOAP power spectrum.

    .. math::
        p_{qn, q'n', l} = \frac{(-1)^l \sqrt{2 - \delta_{qq'}}}{\sqrt{2l + 1}}
            \sum_m x_{qn, lm} \, x_{q'n', lm}, \qquad q \le q'

    (Bartók, Kondor and Csányi, `PRB 87, 184115 (2013)
    <https://doi.org/10.1103/PhysRevB.87.184115>`_). The values are those of featomic's
    ``SoapPowerSpectrum``: the two orders of different neighbor types are one feature,
    times √2.

    :param max_angular: largest angular channel.
    :param num_types: number of neighbor types ``q``.
    :param num_radial: number of radial functions ``n``.
    """

    products: torch.Tensor  # (size,), indices of the products of channels to keep
    weights: torch.Tensor  # (size,)

    def __init__(self, max_angular: int, num_types: int, num_radial: int) -> None:
        super().__init__()
        num_channels = num_types * num_radial
        channel = torch.arange(num_channels)
        # each channel with all channels of its own and of later neighbor types
        partners = [
            channel[c // num_radial * num_radial :] for c in range(num_channels)
        ]
        second = torch.cat(partners)
        first = torch.cat([channel[c].expand_as(p) for c, p in enumerate(partners)])
        self.size = (max_angular + 1) * len(first)
        l = torch.arange(max_angular + 1).unsqueeze(1)
        place = l * num_channels**2 + first * num_channels + second
        self.register_buffer("products", place.flatten(), persistent=False)
        of_one_type = first // num_radial == second // num_radial
        multiplicity = torch.where(of_one_type, 1, 2)
        weights = (-1.0) ** l * torch.sqrt(multiplicity.double() / (2 * l + 1))
        self.register_buffer("weights", weights.flatten(), persistent=False)

    def forward(self, density: List[torch.Tensor]) -> torch.Tensor:
        """Contract the density with itself.

        :param density: for every ``l``, ``(atoms, 2l + 1, channels)`` with the channels
            (type, radial function).
        :return: ``(atoms, size)``: products of channels for l = 0, then l = 1, ...
        """
        products: List[torch.Tensor] = []
        for x in density:
            products.append((x.transpose(1, 2) @ x).flatten(1))  # (atoms, channels²)
        return torch.cat(products, dim=1).index_select(1, self.products) * self.weights


class ChannelwiseInvariants(torch.nn.Module):
    r"""Invariants of each channel separately, up to a correlation order.

    With the function :math:`x_k(\hat r) = \sum_{lm} x_{k,lm} Y_{lm}(\hat r)` of a
    channel and its square :math:`s_k = x_k^2`, these are

    .. math::
        x_{k,00}, \qquad \sum_m x_{k,lm}^2, \qquad \sum_m x_{k,lm} \, s_{k,lm},
            \qquad \sum_m s_{k,lm}^2

    for every :math:`l`, of order 1, 2, 3 and 4: the tensor-reduced invariants of Darby
    et al., `arXiv:2210.01705 <https://arxiv.org/abs/2210.01705>`_. :math:`s` sums over
    all couplings; with many channels, which weight the :math:`l` differently, these can
    still be told apart.

    :param max_angular: largest angular channel.
    :param num_channels: number of channels.
    :param correlation_order: largest order, from 2 to 4.
    """

    sum_over_m: torch.Tensor  # (l, l · m)

    def __init__(
        self, max_angular: int, num_channels: int, correlation_order: int
    ) -> None:
        super().__init__()
        self.max_angular = max_angular
        self.correlation_order = correlation_order
        self.size = num_channels * (1 + (max_angular + 1) * (correlation_order - 1))
        self.sphere = SphereGrid(max_angular, 3 * max_angular)
        num_m = 2 * np.arange(max_angular + 1) + 1
        sum_over_m = np.repeat(np.diag(num_m**-0.5), num_m, axis=1)
        self.register_buffer("sum_over_m", torch.tensor(sum_over_m), persistent=False)
        # variance of a function whose coefficients have unit variance
        self.variance = (max_angular + 1) ** 2 / (4 * math.pi)

    def forward(self, density: List[torch.Tensor]) -> torch.Tensor:
        """Contract the density with itself.

        :param density: for every ``l``, ``(atoms, 2l + 1, channels)``
        :return: ``(atoms, size)``
        """
        x = torch.cat(density, dim=1)  # (atoms, l · m, channels)
        products = [x * x]
        if self.correlation_order > 2:
            square = self.sphere(x).pow(2) / self.variance
            square = self.sphere.project(square, self.max_angular)
            products.append(x * square)
            if self.correlation_order > 3:
                products.append(square * square)
        invariants = [x[:, 0]]
        for product in products:
            of_l = on_components(self.sum_over_m, product)  # (atoms, l, channels)
            invariants.append(of_l.transpose(1, 2).flatten(1))
        return torch.cat(invariants, dim=1)
