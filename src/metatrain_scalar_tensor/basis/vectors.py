"""Tensors from three learned vectors."""

from typing import List

import torch

from ..o3 import CoupledProduct, Irrep
from .contraction import Contraction
from .products import Products


class Powers(torch.nn.Module):
    r"""The maximally coupled powers :math:`[v^{\otimes l}]_l` of vectors.

    Scaled to unit norm for unit vectors.

    :param max_degree: largest ``l``.
    """

    def __init__(self, max_degree: int) -> None:
        super().__init__()
        self.raise_degree = torch.nn.ModuleList(
            CoupledProduct(1, l, l + 1, unit=True) for l in range(1, max_degree)
        )

    def forward(self, vectors: torch.Tensor) -> List[torch.Tensor]:
        """Raise vectors to powers.

        :param vectors: ``(atoms, 3, channels)``
        :return: for every ``l`` from 0, ``(atoms, 2l + 1, channels)``
        """
        powers = [torch.ones_like(vectors[:, :1]), vectors]
        for multiply in self.raise_degree:
            powers.append(multiply(vectors, powers[-1]))
        return powers


class Monomials(torch.nn.Module):
    r"""All maximally coupled products of two vectors at a total degree.

    :math:`[a^{\otimes k} \otimes b^{\otimes (l - k)}]_l` for :math:`k = 0, \ldots, l`,
    scaled to unit norm for parallel unit vectors.

    :param degree: total degree ``l``.
    """

    def __init__(self, degree: int) -> None:
        super().__init__()
        self.degree = degree
        self.couple = torch.nn.ModuleList(
            CoupledProduct(k, degree - k, degree, unit=True) for k in range(1, degree)
        )

    def forward(self, powers: List[torch.Tensor]) -> torch.Tensor:
        """Multiply.

        :param powers: the powers of ``a`` and ``b``, ``(atoms, 2l + 1, 2)``
        :return: ``(atoms, 2l + 1, l + 1)``
        """
        if self.degree == 0:
            return powers[0][:, :, :1]
        products = [powers[self.degree][:, :, 1:]]  # k = 0
        for i, couple in enumerate(self.couple):
            k = i + 1
            a, b = powers[k][:, :, :1], powers[self.degree - k][:, :, 1:]
            products.append(couple(a, b))
        products.append(powers[self.degree][:, :, :1])
        return torch.cat(products, dim=2)


class VectorBasis(torch.nn.Module):
    r"""The maximally coupled products of three learned vectors (λ-MCoV).

    With the vectors :math:`a, b, c` and their monomials
    :math:`P_l(a, b) = \{[a^k b^{l-k}]_l\}`, the 2λ + 1 tensors are

    - proper: :math:`P_\lambda(a, b)` and
      :math:`[P_{\lambda-1}(a, b) \otimes c]_\lambda` (Domina et al.,
      `arXiv:2505.05404 <https://arxiv.org/abs/2505.05404>`_);
    - pseudotensors, with one vector product:
      :math:`[P_{\lambda-1} \otimes (a \times b)]_\lambda`,
      :math:`[P_{\lambda-1} \otimes (a \times c)]_\lambda` and
      :math:`[b^{\lambda-1} \otimes (b \times c)]_\lambda`; for λ = 0 the triple product
      :math:`a \cdot (b \times c)`.

    The vectors are contractions of the l = 1 density, shortened to
    :math:`v / \sqrt{1 + |v|^2}` so that high powers neither explode nor vanish.

    :param irrep: symmetry of the tensors.
    :param num_inputs: number of channels of the density.
    """

    def __init__(self, irrep: Irrep, num_inputs: int) -> None:
        super().__init__()
        self.proper = irrep.o3_sigma == 1
        self.o3_lambda = irrep.o3_lambda
        self.num_tensors = 2 * irrep.o3_lambda + 1
        self.vectors = Contraction(num_inputs, 3)
        self.powers = Powers(irrep.o3_lambda)
        self.leading = Monomials(irrep.o3_lambda if self.proper else 0)  # if proper
        self.lower = Monomials(max(irrep.o3_lambda - 1, 0))
        self.extend = CoupledProduct(
            self.lower.degree, 1, self.lower.degree + 1, unit=True
        )

    def forward(self, density: List[torch.Tensor], products: Products) -> torch.Tensor:
        """Build the tensors.

        :param density: for every ``l``, ``(atoms, 2l + 1, num_inputs)``
        :param products: not needed.
        :return: ``(atoms, 2λ + 1, 2λ + 1)``, the tensors along the last axis.
        """
        vectors = self.vectors(density[1])  # (atoms, 3, 3)
        vectors = vectors * torch.rsqrt(1.0 + vectors.pow(2).sum(1, keepdim=True))
        a, b, c = vectors[:, :, 0:1], vectors[:, :, 1:2], vectors[:, :, 2:3]
        powers = self.powers(vectors[:, :, :2])
        lower = self.lower(powers)  # (atoms, 2λ - 1, λ)
        if self.proper:
            return torch.cat([self.leading(powers), self.extend(lower, c)], dim=2)
        # (y, z, x) is a cyclic permutation: the vector product has its usual form
        b_c = torch.linalg.cross(b, c, dim=1)
        if self.o3_lambda == 0:
            return (a * b_c).sum(1, keepdim=True)
        tensors = [
            self.extend(lower, torch.linalg.cross(a, b, dim=1)),
            self.extend(lower, torch.linalg.cross(a, c, dim=1)),
            self.extend(lower[:, :, :1], b_c),  # b^(λ - 1)
        ]
        return torch.cat(tensors, dim=2)
