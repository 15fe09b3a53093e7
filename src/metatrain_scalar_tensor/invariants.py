"""Rotation-invariant scalars out of the density."""

from typing import List

import torch


class PowerSpectrum(torch.nn.Module):
    r"""The SOAP power spectrum.

    .. math::
        p_{qn, q'n', l} = \frac{(-1)^l \sqrt{2 - \delta_{qq'}}}{\sqrt{2l + 1}}
            \sum_m x_{qn, lm} \, x_{q'n', lm}, \qquad q \le q'

    (Bartók, Kondor and Csányi, `PRB 87, 184115 (2013)
    <https://doi.org/10.1103/PhysRevB.87.184115>`_, with the normalisation of featomic's
    ``SoapPowerSpectrum``, whose values these are: the two orders of a pair of different
    neighbor types are one feature, times √2.)

    :param max_angular: largest angular channel.
    :param num_types: number of neighbor types ``q``.
    :param num_radial: number of radial functions ``n``.
    """

    pairs: torch.Tensor  # of channels for every l, as an index of all their products
    weights: torch.Tensor  # (l · pairs,)

    def __init__(self, max_angular: int, num_types: int, num_radial: int) -> None:
        super().__init__()
        q = torch.arange(num_types).repeat_interleave(num_radial)  # type of a channel
        first, second = torch.where(q.unsqueeze(1) <= q.unsqueeze(0))
        num_channels = len(q)
        self.size = (max_angular + 1) * len(first)
        l = torch.arange(max_angular + 1).unsqueeze(1)
        pairs = l * num_channels**2 + first * num_channels + second
        self.register_buffer("pairs", pairs.flatten(), persistent=False)
        multiplicity = torch.where(q[first] == q[second], 1, 2)
        weights = (-1.0) ** l * torch.sqrt(multiplicity.double() / (2 * l + 1))
        self.register_buffer("weights", weights.flatten(), persistent=False)

    def forward(self, density: List[torch.Tensor]) -> torch.Tensor:
        """Contract the density with itself.

        :param density: for every ``l``, ``(atoms, 2l + 1, channels)`` with the channels
            (type, radial function).
        :return: ``(atoms, size)``, the pairs of channels of l = 0, then of l = 1, ...
        """
        products: List[torch.Tensor] = []
        for x in density:
            products.append((x.transpose(1, 2) @ x).flatten(1))  # (atoms, channels²)
        return torch.cat(products, dim=1).index_select(1, self.pairs) * self.weights
