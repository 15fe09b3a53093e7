"""Products of learned functions on the sphere, coupled to all ranks at once."""

import math
from typing import List, NamedTuple

import torch

from ..o3 import CoupledProduct, Irrep, SphereGrid
from ..rows import rows_at_a_time
from .contraction import Contraction


class Products(NamedTuple):
    """Tensors of second order in the density, for λ = 0, 1, ..."""

    proper: List[torch.Tensor]  # (atoms, 2λ + 1, channels)
    pseudo: List[torch.Tensor]


class SphereProducts(torch.nn.Module):
    r"""All couplings of two density channels, for all symmetries at once.

    Learned channels of the density are functions on the unit sphere,
    :math:`y_c(\hat r) = \sum_{l \ge 1, m} y_{c,lm} Y_{lm}(\hat r)`, and so are their
    products and brackets (see :class:`metatrain_scalar_tensor.o3.SphereGrid`),

    .. math::
        B_c^{\lambda +} = (y_c z_c)_\lambda
            = \sum_{l_1 l_2} g_{l_1 l_2 \lambda} [y_c^{l_1} \otimes z_c^{l_2}]_\lambda,
        \qquad
        B_c^{\lambda -} = \{y_c, z_c\}_\lambda,

    where the former have the couplings of even :math:`l_1 + l_2 + \lambda`, proper
    tensors, and the latter the odd ones, pseudotensors. The channels weight the ``l``
    differently, so that sums over channels can single out every coupling (the argument
    for tensor-reduced densities, Darby et al., `arXiv:2210.01705
    <https://arxiv.org/abs/2210.01705>`_). ``l = 0`` is left out: its products are a
    scalar times a density channel, which the coefficients already provide.

    :param max_angular: largest angular channel of the density, at least 1.
    :param num_inputs: number of channels of the density.
    :param num_channels: number of products.
    """

    def __init__(self, max_angular: int, num_inputs: int, num_channels: int) -> None:
        super().__init__()
        self.max_angular = max_angular
        # for l = 1, 2, ...; all l contribute equally to the functions, whose size gives
        # products with components of about 1
        self.channels = torch.nn.ModuleList(
            Contraction(
                num_inputs,
                2 * num_channels,
                scale=math.sqrt(8 * math.pi / (max_angular * (2 * l + 1))),
            )
            for l in range(1, max_angular + 1)
        )
        self.max_lambda = -1
        self.reach(0)

    def reach(self, o3_lambda: int) -> None:
        """Compute products up to a rank, on the smallest sufficient grid."""
        if o3_lambda > self.max_lambda:
            self.max_lambda = o3_lambda
            self.sphere = SphereGrid(self.max_angular, 2 * self.max_angular + o3_lambda)

    def forward(self, density: List[torch.Tensor], with_pseudo: bool) -> Products:
        """Multiply the channels.

        :param density: for every ``l``, ``(atoms, 2l + 1, num_inputs)``
        :param with_pseudo: whether to compute pseudotensors.
        :return: for every λ in :meth:`reach`, ``(atoms, 2λ + 1, num_channels)``
        """
        parts: List[torch.Tensor] = []
        for i, contraction in enumerate(self.channels):
            parts.append(contraction(density[i + 1]))
        functions = torch.cat(parts, dim=1)  # (atoms, l · m, 2c), no l = 0
        proper: List[torch.Tensor] = []
        pseudo: List[torch.Tensor] = []
        for some in functions.split(rows_at_a_time(functions, 128)):
            y, z = some.chunk(2, dim=2)
            y_values, z_values = self.sphere(some).chunk(2, dim=2)
            proper.append(self.sphere.project(y_values * z_values, self.max_lambda))
            if with_pseudo:
                bracket = self.sphere.bracket(y, z)
                pseudo.append(self.sphere.project(bracket, self.max_lambda))
        return Products(self._of_every_rank(proper), self._of_every_rank(pseudo))

    def _of_every_rank(self, parts: List[torch.Tensor]) -> List[torch.Tensor]:
        if len(parts) == 0:
            return parts
        tensors = torch.cat(parts)  # (atoms, λ · μ, c)
        num_components = [2 * l + 1 for l in range(self.max_lambda + 1)]
        return list(tensors.split(num_components, dim=1))


class ProductBasis(torch.nn.Module):
    """The products of one symmetry.

    :param irrep: the symmetry (λ, σ).
    :param num_channels: number of products.
    """

    def __init__(self, irrep: Irrep, num_channels: int) -> None:
        super().__init__()
        self.o3_lambda, self.proper = irrep.o3_lambda, irrep.o3_sigma == 1
        self.num_tensors = num_channels
        self.max_rank = irrep.o3_lambda  # largest rank of the products that are needed

    def forward(self, density: List[torch.Tensor], products: Products) -> torch.Tensor:
        """Select the tensors, ``(atoms, 2λ + 1, num_tensors)``."""
        tensors = products.proper if self.proper else products.pseudo
        return tensors[self.o3_lambda]


class AxialBasis(torch.nn.Module):
    r"""Pseudovectors times density channels: pseudotensors of third order.

    :math:`[\{y_c, z_c\}_1 \otimes w_c^{\lambda - 1}]_\lambda` with learned combinations
    of the pseudovectors. At chiral sites with an axis of high order (C6), pseudotensors
    of second order with even λ vanish for a density with finitely many ``l``; these are
    the lowest that do not.

    :param o3_lambda: rank of the tensors, at least 2.
    :param num_inputs: number of channels of the density.
    :param num_channels: number of products, and of tensors.
    """

    def __init__(self, o3_lambda: int, num_inputs: int, num_channels: int) -> None:
        super().__init__()
        self.rank = o3_lambda - 1
        self.num_tensors = num_channels
        self.max_rank = 1
        self.mix = Contraction(num_channels, num_channels)
        self.w = Contraction(num_inputs, num_channels)
        self.couple = CoupledProduct(1, self.rank, o3_lambda)

    def forward(self, density: List[torch.Tensor], products: Products) -> torch.Tensor:
        """Build the tensors, ``(atoms, 2λ + 1, num_tensors)``."""
        return self.couple(self.mix(products.pseudo[1]), self.w(density[self.rank]))


class TripleBasis(torch.nn.Module):
    r"""Pseudotensors contracted with the density of the same rank: pseudoscalars.

    :math:`\{y_c, z_c\}_l \cdot w_c^l` for every ``l``.

    :param max_angular: largest angular channel of the density, at least 1.
    :param num_inputs: number of channels of the density.
    :param num_channels: number of products for every ``l``.
    """

    def __init__(self, max_angular: int, num_inputs: int, num_channels: int) -> None:
        super().__init__()
        self.num_tensors = max_angular * num_channels
        self.max_rank = max_angular
        self.w = torch.nn.ModuleList(
            Contraction(num_inputs, num_channels) for _ in range(max_angular)
        )

    def forward(self, density: List[torch.Tensor], products: Products) -> torch.Tensor:
        """Build the pseudoscalars, ``(atoms, 1, num_tensors)``."""
        scalars: List[torch.Tensor] = []
        for i, w in enumerate(self.w):
            triple = products.pseudo[i + 1] * w(density[i + 1])
            scalars.append(triple.sum(1, keepdim=True))
        return torch.cat(scalars, dim=2)
