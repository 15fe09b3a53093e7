"""Tensors from three learned vectors."""

from typing import List

import torch

from ..o3 import CoupledProduct, Irrep
from .contraction import Contraction
from .products import Products


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

    The vectors are contractions of the l = 1 density, scaled to
    :math:`v / \sqrt{1 + |v|^2}` so that high powers neither explode nor vanish.

    :param irrep: symmetry of the tensors.
    :param num_inputs: number of channels of the density.
    """

    vector: torch.Tensor  # indices of the vectors that are multiplied with ...
    lower: torch.Tensor  # ... these tensors of the rank below
    last_vector: torch.Tensor  # the same for the last rank
    last_lower: torch.Tensor
    max_rank = 0  # largest rank of the products that are needed

    def __init__(self, irrep: Irrep, num_inputs: int) -> None:
        super().__init__()
        self.proper = irrep.o3_sigma == 1
        self.o3_lambda = o3_lambda = irrep.o3_lambda
        self.num_tensors = 2 * o3_lambda + 1
        self.vectors = Contraction(num_inputs, 3)
        self.raise_rank = torch.nn.ModuleList(
            CoupledProduct(1, l, l + 1, unit=True) for l in range(o3_lambda)
        )
        # P_l is b times the first and a times every tensor of P_(l - 1);
        vector, lower = [1] + o3_lambda * [0], [0, *range(o3_lambda)]
        self.register_buffer("vector", torch.tensor(vector), persistent=False)
        self.register_buffer("lower", torch.tensor(lower), persistent=False)
        # the last rank adds c times every tensor of P_(λ - 1), or has vector products
        if self.proper:
            vector, lower = vector + o3_lambda * [2], lower + list(range(o3_lambda))
        else:
            vector = o3_lambda * [0] + o3_lambda * [1] + [2]
            lower = 2 * list(range(o3_lambda)) + [0]
        self.register_buffer("last_vector", torch.tensor(vector), persistent=False)
        self.register_buffer("last_lower", torch.tensor(lower), persistent=False)

    def forward(self, density: List[torch.Tensor], products: Products) -> torch.Tensor:
        """Build the tensors, ``(atoms, 2λ + 1, num_tensors)``."""
        vectors = self.vectors(density[1])  # (atoms, 3, 3)
        vectors = vectors * torch.rsqrt(1.0 + vectors.pow(2).sum(1, keepdim=True))
        factors = vectors.index_select(2, self.vector)  # b, a, a, ...
        if not self.proper:
            a, b, c = vectors.split(1, dim=2)
            # the cross product is the same in the order (y, z, x), a cyclic permutation
            vectors = torch.linalg.cross(
                torch.cat([a, a, b], dim=2), torch.cat([b, c, c], dim=2), dim=1
            )
            if self.o3_lambda == 0:
                return (a * vectors[:, :, 2:]).sum(1, keepdim=True)
        last_factors = vectors.index_select(2, self.last_vector)
        tensors = torch.ones_like(vectors[:, :1, :1])  # P_0
        for l, multiply in enumerate(self.raise_rank):
            if l + 1 < self.o3_lambda:
                lower = tensors.index_select(2, self.lower[: l + 2])
                tensors = multiply(factors[:, :, : l + 2], lower)
            else:
                lower = tensors.index_select(2, self.last_lower)
                tensors = multiply(last_factors, lower)
        return tensors
