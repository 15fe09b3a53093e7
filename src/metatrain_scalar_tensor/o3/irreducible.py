r"""Irreducible Cartesian tensors: symmetric and traceless in all pairs of indices.

A tensor of rank :math:`l` has :math:`2l + 1` independent components and is a spherical
tensor in another basis. Products contract indices and need no coupling coefficients
(Zaverkin et al., `arXiv:2405.14253 <https://arxiv.org/abs/2405.14253>`_;
Coope, Snider and McCourt, `JCP 43, 2269 (1965) <https://doi.org/10.1063/1.1697123>`_;
Lehman and Parke, `JMP 30, 2797 (1989) <https://arxiv.org/abs/1811.02671>`_).

Tensors are stored with all :math:`3^l` components, ``(atoms, channels, 3, ..., 3)``.
Contractions are then batched matrix products, and one multiplication with a constant
matrix symmetrises and removes traces, without copies in between. Despite the redundancy
this is faster than ``CoupledProduct`` up to rank 2, and slower from rank 3 on, where
:math:`3^l` is much larger than :math:`2l + 1`: see ``docs/performance.md``.
"""

import math

import torch

from .clebsch_gordan import check_triangle, clebsch_gordan
from .components import on_cpu
from .projector import irreducible_projector


def _num_components(rank: int) -> int:
    """``3^rank``, as an integer also in TorchScript."""
    return int(3**rank)


@on_cpu
def spherical_from_irreducible(rank: int) -> torch.Tensor:
    r"""Change of basis from irreducible Cartesian to spherical tensors.

    The matrix :math:`Q` has orthonormal rows, :math:`Q Q^T = 1`, and :math:`Q^T Q` is
    the ``irreducible_projector``: norms are conserved, and :math:`Q^T` is the inverse.
    It is the maximal coupling :math:`(((1 \otimes 1)_2 \otimes 1)_3 \ldots)_l` of all
    indices, and maps the powers of a unit vector to its harmonics,

    .. math::
        Q \, T_l(\hat r) = \sqrt{\frac{l!}{(2l - 1)!!} \frac{4\pi}{2l + 1}} \;
            Y_l(\hat r).

    :param rank: number of indices ``l``.
    :return: float64 matrix from the components in the order ``xx...x, xx...y, ...`` to
        ``m = -l, ..., l``: ``(2 l + 1, 3^l)``
    """
    vector = torch.eye(3, dtype=torch.float64)[[1, 2, 0]]  # m = (y, z, x)
    matrix = torch.ones(1, 1, dtype=torch.float64)
    for l in range(rank):
        coupling = clebsch_gordan(l, 1, l + 1)
        matrix = torch.einsum("abm,ai,bj->mij", coupling, matrix, vector).flatten(1)
    return matrix


def contraction(x: torch.Tensor, y: torch.Tensor, indices: int) -> torch.Tensor:
    r"""Contract the last indices of ``x`` with the first ones of ``y``.

    .. math::
        (x \cdot^k y)_{i \ldots j \ldots}
            = \sum_{a_1 \ldots a_k} x_{i \ldots a_1 \ldots a_k} \,
              y_{a_1 \ldots a_k j \ldots}

    In general the result is neither symmetric nor traceless. Contracting all indices
    gives the scalar product, the only invariant of two irreducible tensors.

    :param x: tensors of rank ``l1``, ``(atoms, channels, 3, ..., 3)``
    :param y: tensors of rank ``l2``, in the same form.
    :param indices: number ``k`` of indices, at most ``l1`` and ``l2``.
    :return: tensors of rank ``l1 + l2 - 2 k``, in the same form.
    :raises ValueError: if a tensor has fewer indices.
    """
    free_x, free_y = x.dim() - 2 - indices, y.dim() - 2 - indices
    if free_x < 0 or free_y < 0:
        raise ValueError(
            f"cannot contract {indices} indices of tensors of rank {x.dim() - 2} and "
            f"{y.dim() - 2}"
        )
    atoms, channels = x.shape[0], x.shape[1]
    contracted = _num_components(indices)
    if free_x + free_y == 0:  # several times faster than matrices with one row
        return (x * y).reshape(atoms, channels, contracted).sum(2)
    a = x.reshape(atoms * channels, _num_components(free_x), contracted)
    b = y.reshape(atoms * channels, contracted, _num_components(free_y))
    return torch.bmm(a, b).reshape([atoms, channels] + [3] * (free_x + free_y))


def cartesian_norm(x: torch.Tensor) -> torch.Tensor:
    """The norms of tensors: square roots of their full contractions with themselves.

    :param x: ``(atoms, channels, 3, ..., 3)``
    :return: ``(atoms, channels)``; the derivative is zero where the norm is zero.
    """
    shape = [x.shape[0], x.shape[1], _num_components(x.dim() - 2)]
    return torch.linalg.vector_norm(x.reshape(shape), dim=2)


class IrreduciblePower(torch.nn.Module):
    r"""The irreducible parts of the powers of vectors.

    .. math::
        T_l(r) = \sum_{m=0}^{\lfloor l/2 \rfloor} (-1)^m
            \frac{(2l - 2m - 1)!!}{(2l - 1)!!} \, |r|^{2m}
            \left\{ r^{\otimes (l - 2m)} \otimes \delta^{\otimes m} \right\}

    where the braces are the sum over all distinct permutations of the indices (Zaverkin
    et al., `arXiv:2405.14253 <https://arxiv.org/abs/2405.14253>`_, up to a factor: here
    the power itself, :math:`m = 0`, has coefficient 1). With the Legendre polynomials,

    .. math::
        T_l(r) \cdot^l T_l(s) = \frac{l!}{(2l - 1)!!} \, |r|^l |s|^l \,
            P_l(\hat r \cdot \hat s).

    :param rank: number of indices ``l``.
    """

    projector: torch.Tensor  # (3^l, 3^l)

    def __init__(self, rank: int) -> None:
        super().__init__()
        self.rank = rank
        self.register_buffer("projector", irreducible_projector(rank), persistent=False)

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """Evaluate the tensors.

        :param vectors: of any length, ``(samples, 3)``
        :return: ``(samples, 3, ..., 3)``
        """
        power = torch.ones_like(vectors[:, :1])
        for _ in range(self.rank):
            power = (power.unsqueeze(2) * vectors.unsqueeze(1)).flatten(1)
        tensors = power @ self.projector  # (samples, 3^l)
        return tensors.reshape([vectors.shape[0]] + [3] * self.rank)


class IrreducibleProduct(torch.nn.Module):
    r"""The irreducible product of two irreducible tensors, channel by channel.

    For even :math:`l_1 + l_2 - l_3 = 2k`, contract :math:`k` indices, symmetrise the
    remaining :math:`p = l_1 - k` and :math:`q = l_2 - k`, and remove the traces. As
    ``x`` and ``y`` are traceless, a trace contracts an index of ``x`` with one of
    ``y``, so that

    .. math::
        (x \odot y)_{l_3} = \frac{p! \, q!}{l_3!} \sum_{m=0}^{\min(p, q)} (-2)^m
            \frac{(2l_3 - 2m - 1)!!}{(2l_3 - 1)!!}
            \left\{ (x \cdot^{k+m} y) \otimes \delta^{\otimes m} \right\}

    with the sum over all distinct permutations of the indices in the braces. For odd
    :math:`l_1 + l_2 - l_3 = 2k + 1`, one index of each enters a cross product: with
    :math:`p = l_1 - k - 1` and :math:`q = l_2 - k - 1`, the braces are

    .. math::
        \left\{ (\varepsilon_{ijj'} \, x_j \cdot^{k+m} y_{j'}) \otimes
            \delta^{\otimes m} \right\}.

    The first term is the symmetrised tensor itself: for two vectors, the scalar and the
    cross product. The formulae are those of Zaverkin et al., `arXiv:2405.14253
    <https://arxiv.org/abs/2405.14253>`_, and earlier of Lehman and Parke, `JMP 30, 2797
    (1989) <https://arxiv.org/abs/1811.02671>`_, up to normalisation;
    ``coupling_constant`` is the ratio to the ``CoupledProduct``.

    The sum is computed as the product of :math:`x \cdot^k y` with the
    ``irreducible_projector``: one batched and one ordinary matrix product. For proper
    ``x`` and ``y`` the tensor is proper if :math:`l_1 + l_2 + l_3` is even, and a
    pseudotensor if it is odd.

    :param l1: rank of the first tensor.
    :param l2: rank of the second tensor.
    :param l3: rank of the product.
    :raises ValueError: if ``l3`` is not between ``|l1 - l2|`` and ``l1 + l2``.
    """

    matrix: torch.Tensor  # (3^(p + q), 3^l3), for odd products (3^(p + q + 2), 3^l3)

    @on_cpu
    def __init__(self, l1: int, l2: int, l3: int) -> None:
        super().__init__()
        check_triangle(l1, l2, l3)
        self.l3 = l3
        self.contracted = (l1 + l2 - l3) // 2
        matrix = irreducible_projector(l3)
        if (l1 + l2 - l3) % 2 == 1:
            # the index i of ε_ijj' is an index of the product, after those of x
            free = 3 ** (l1 - self.contracted - 1)
            matrix = matrix.reshape(free, 3, -1, 3**l3)
            unit = torch.eye(3, dtype=torch.float64)
            levi_civita = torch.linalg.cross(unit.unsqueeze(1), unit.unsqueeze(0))
            matrix = torch.einsum("jki,aibn->ajkbn", levi_civita, matrix)
        matrix = matrix.reshape(-1, 3**l3)
        self.register_buffer("matrix", matrix, persistent=False)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Multiply ``x`` and ``y``.

        :param x: irreducible tensors of rank ``l1``, ``(atoms, channels, 3, ..., 3)``
        :param y: irreducible tensors of rank ``l2``, in the same form.
        :return: irreducible tensors of rank ``l3``, in the same form.
        """
        tensors = contraction(x, y, self.contracted)
        if self.l3 == 0:
            return tensors  # a scalar needs no symmetrisation
        products = tensors.flatten(2) @ self.matrix  # (atoms, channels, 3^l3)
        return products.reshape([x.shape[0], x.shape[1]] + [3] * self.l3)


def coupling_constant(l1: int, l2: int, l3: int) -> float:
    r"""The ratio :math:`c` of the ``IrreducibleProduct`` to the ``CoupledProduct``.

    With the change of basis :math:`Q` of ``spherical_from_irreducible``,

    .. math::
        Q \, (x \odot y)_{l_3} = c \, [Q x \otimes Q y]_{l_3}, \qquad
        c^2 = 2^{o} \, \frac{(l_1 + l_2 + l_3 + 1)! \, (l_1 + l_2 - l_3)! \,
            (l_1 - l_2 + l_3)! \, (-l_1 + l_2 + l_3)!}
            {(2 l_1)! \, (2 l_2)! \, (2 l_3 + 1)!}

    with :math:`o = 0` for even :math:`l_1 + l_2 - l_3` and 1 for odd, and the sign
    :math:`(-1)^{\lceil (l_1 + l_2 - l_3)/2 \rceil}`. It is 1 for the maximal product
    and :math:`(-1)^l \sqrt{2l + 1}` for the scalar one.

    Derivation: the two products can differ only by a factor (Wigner and Eckart), which
    one component determines. Let :math:`x = u^{\otimes l_1}`, :math:`u = (1, i, 0)`,
    the tensor of highest weight, :math:`y` the tensor of weight :math:`l_3 - l_1`, and
    contract the product with :math:`\bar u^{\otimes l_3}`. As
    :math:`\bar u \cdot \bar u = 0`, all traces vanish. What remains is the component of
    :math:`y` along :math:`u^{\otimes k} \otimes \bar u^{\otimes q}`, for odd products
    with one more index along :math:`z`. It is the norm of the irreducible part of that
    power, known from the Fourier series of the Legendre polynomials. Dividing by
    :math:`\langle l_1 \, l_1 \, l_2 \, (l_3 - l_1) | l_3 \, l_3 \rangle` gives
    :math:`c`.

    :param l1: rank of the first tensor.
    :param l2: rank of the second tensor.
    :param l3: rank of the product.
    :raises ValueError: if ``l3`` is not between ``|l1 - l2|`` and ``l1 + l2``.
    """
    check_triangle(l1, l2, l3)
    numerator = math.prod(
        math.factorial(n)
        for n in (l1 + l2 + l3 + 1, l1 + l2 - l3, l1 - l2 + l3, l2 + l3 - l1)
    )
    denominator = math.prod(math.factorial(n) for n in (2 * l1, 2 * l2, 2 * l3 + 1))
    contracted, odd = divmod(l1 + l2 - l3, 2)
    return (-1) ** (contracted + odd) * math.sqrt(2**odd * numerator / denominator)
