"""Tensors from products of two angular channels of the density."""

from typing import List, Tuple

import torch

from ..documentation import PairCouplings
from ..o3 import CoupledProduct, Irrep
from .contraction import Contraction


def pair_ranks(
    irrep: Irrep, couplings: PairCouplings, max_angular: int
) -> List[Tuple[int, int]]:
    """The pairs ``l1 ≤ l2`` of angular channels whose product has a symmetry.

    ``l1 = 0`` is left out: its product is a scalar times a density channel, and scalars
    are what the coefficients are for.

    :param irrep: the symmetry (λ, σ).
    :param couplings: ``maximal`` for ``l1 + l2 = λ``, or ``λ + 1`` for pseudotensors;
        ``all`` for all.
    :param max_angular: largest angular channel.
    :return: the pairs ``(l1, l2)``.
    """
    o3_lambda, o3_sigma = irrep
    maximal = o3_lambda if o3_sigma == 1 else o3_lambda + 1
    return [
        (l1, l2)
        for l1 in range(1, max_angular + 1)
        for l2 in range(l1, max_angular + 1)
        if l2 - l1 <= o3_lambda <= l1 + l2
        and (l1 + l2 - maximal) % 2 == 0
        and (couplings == "all" or l1 + l2 == maximal)
    ]


class PairBasis(torch.nn.Module):
    r"""Coupled products of the density channels.

    .. math::
        B_c^{\lambda} = [y_c^{l_1} \otimes z_c^{l_2}]_\lambda

    of learned channels ``y`` and ``z`` of the density, taken channel by channel: even
    :math:`l_1 + l_2 + \lambda` for proper tensors, odd for pseudotensors, so that no
    pseudoscalar is involved, which would vanish at every achiral site. Maximal
    couplings, with one extra vector product for pseudotensors, are those of the theorem
    of Domina et al., `arXiv:2505.05404 <https://arxiv.org/abs/2505.05404>`_; the others
    are products that a smooth scalar could supply only with infinitely many terms, and
    without which a density of finitely many ``l`` misses tensors at symmetric sites.

    :param o3_lambda: rank of the tensors.
    :param ranks: the pairs ``(l1, l2)``.
    :param num_inputs: number of channels of the density.
    :param num_channels: number of products for every pair.
    """

    def __init__(
        self,
        o3_lambda: int,
        ranks: List[Tuple[int, int]],
        num_inputs: int,
        num_channels: int,
    ) -> None:
        super().__init__()
        self.ranks = ranks
        self.num_tensors = len(ranks) * num_channels
        # the same for all center types: these differ by their coefficients
        self.channels = torch.nn.ModuleList(
            torch.nn.Linear(num_inputs, 2 * num_channels, bias=False)
            for _ in range(max(l2 for _, l2 in ranks))  # l = 1, 2, ...
        )
        for weights in self.channels.parameters():
            torch.nn.init.normal_(weights, std=num_inputs**-0.5)
        self.couple = torch.nn.ModuleList(
            CoupledProduct(l1, l2, o3_lambda) for l1, l2 in ranks
        )

    def forward(
        self, density: List[torch.Tensor], center_type: torch.Tensor
    ) -> torch.Tensor:
        """Build the tensors.

        :param density: for every ``l``, ``(atoms, 2l + 1, num_inputs)``
        :param center_type: not needed.
        :return: ``(atoms, 2λ + 1, num_tensors)``
        """
        y: List[torch.Tensor] = []
        z: List[torch.Tensor] = []
        for i, linear in enumerate(self.channels):
            y_of_l, z_of_l = linear(density[i + 1]).chunk(2, dim=2)
            y.append(y_of_l)
            z.append(z_of_l)
        tensors: List[torch.Tensor] = []
        for i, couple in enumerate(self.couple):
            l1, l2 = self.ranks[i]
            tensors.append(couple(y[l1 - 1], z[l2 - 1]))
        return torch.cat(tensors, dim=2)


class AxialBasis(torch.nn.Module):
    r"""Pseudovectors times density channels: pseudotensors of third order.

    :math:`[[y_c^l \otimes z_c^l]_1 \otimes w_c^{\lambda - 1}]_\lambda` with learned
    combinations of the pseudovectors of all ``l``. At chiral sites with an axis of high
    order (C6) a density of finitely many ``l`` has no pseudotensor of second order with
    even λ; these are the lowest that do not vanish.

    :param o3_lambda: rank of the tensors, at least 2.
    :param max_angular: largest angular channel of the density.
    :param num_types: number of center types.
    :param num_inputs: number of channels of the density.
    :param num_channels: number of tensors.
    """

    def __init__(
        self,
        o3_lambda: int,
        max_angular: int,
        num_types: int,
        num_inputs: int,
        num_channels: int,
    ) -> None:
        super().__init__()
        self.rank = o3_lambda - 1
        self.num_tensors = num_channels
        ranks = [(l, l) for l in range(1, max_angular + 1)]
        self.pseudovectors = PairBasis(1, ranks, num_inputs, num_channels)
        self.mix = Contraction(num_types, self.pseudovectors.num_tensors, num_channels)
        self.w = Contraction(num_types, num_inputs, num_channels)
        self.couple = CoupledProduct(1, self.rank, o3_lambda)

    def forward(
        self, density: List[torch.Tensor], center_type: torch.Tensor
    ) -> torch.Tensor:
        """Build the tensors.

        :param density: for every ``l``, ``(atoms, 2l + 1, num_inputs)``
        :param center_type: index of the type, ``(atoms,)``
        :return: ``(atoms, 2λ + 1, num_tensors)``
        """
        pseudovectors = self.pseudovectors(density, center_type)
        w = self.w(density[self.rank], center_type)
        return self.couple(self.mix(pseudovectors, center_type), w)


class TripleBasis(torch.nn.Module):
    """Triple products of the density channels: pseudoscalars.

    The pseudotensors of every rank ``l`` of :class:`PairBasis`, contracted with the
    density of the same rank: ``[y^{l1} ⊗ z^{l2}]_l · w^l``.

    :param couplings: which pairs ``(l1, l2)``.
    :param max_angular: largest angular channel of the density, at least 1.
    :param num_types: number of center types.
    :param num_inputs: number of channels of the density.
    :param num_channels: number of products for every triple ``(l1, l2, l)``.
    """

    def __init__(
        self,
        couplings: PairCouplings,
        max_angular: int,
        num_types: int,
        num_inputs: int,
        num_channels: int,
    ) -> None:
        super().__init__()
        pseudotensors = [
            PairBasis(
                l,
                pair_ranks(Irrep(l, -1), couplings, max_angular),
                num_inputs,
                num_channels,
            )
            for l in range(1, max_angular + 1)
        ]
        self.pseudotensors = torch.nn.ModuleList(pseudotensors)
        self.z = torch.nn.ModuleList(
            Contraction(num_types, num_inputs, pseudo.num_tensors)
            for pseudo in pseudotensors
        )
        self.num_tensors = sum(pseudo.num_tensors for pseudo in pseudotensors)

    def forward(
        self, density: List[torch.Tensor], center_type: torch.Tensor
    ) -> torch.Tensor:
        """Build the pseudoscalars.

        :param density: for every ``l``, ``(atoms, 2l + 1, num_inputs)``
        :param center_type: index of the type, ``(atoms,)``
        :return: ``(atoms, 1, num_tensors)``
        """
        scalars: List[torch.Tensor] = []
        for i, (pseudo, z) in enumerate(zip(self.pseudotensors, self.z)):
            products = pseudo(density, center_type) * z(density[i + 1], center_type)
            scalars.append(products.sum(1, keepdim=True))
        return torch.cat(scalars, dim=2)
