"""Left sides of equations as features and tensors, and how these are added up."""

from typing import List, NamedTuple, Tuple

import torch


# of features and of tensors: with fewer of either, rows are multiplied
FEWEST_FACTORS = 4
NUMBERS_AT_A_TIME = 2**23  # in the products of features


class Factors(NamedTuple):
    r"""Left sides :math:`X_{im, bf} = B_{im, b} \, h_{i, f}`, in float64."""

    tensors: torch.Tensor
    """:math:`B`, ``(samples, 2λ + 1, b)``"""
    features: torch.Tensor
    """:math:`h`, ``(samples, f)``"""

    @classmethod
    def of_rows(cls, x: torch.Tensor) -> "Factors":
        """Left sides that are no products, ``(samples, 2λ + 1, columns)``."""
        return cls(x, x.new_ones(len(x), 1))

    @property
    def shape(self) -> Tuple[int, int]:
        """The numbers of tensors and of features."""
        return self.tensors.shape[2], self.features.shape[1]

    def of(self, samples: torch.Tensor) -> "Factors":
        """Those of some samples."""
        return Factors(self.tensors[samples], self.features[samples])

    def rows(self) -> torch.Tensor:
        """The left sides, ``(samples, 2λ + 1, b · f)``."""
        return torch.einsum("imb,if->imbf", *self).flatten(2)


def are_products(shape: Tuple[int, int]) -> bool:
    """Whether sums are those of products, for numbers of tensors and features."""
    return min(shape) >= FEWEST_FACTORS


def shape_of_sums(shape: Tuple[int, int]) -> List[int]:
    """The shape of :func:`sums_of`, for numbers of tensors and features."""
    if are_products(shape):
        return [n * (n + 1) // 2 for n in shape]
    return 2 * [shape[0] * shape[1]]


def sums_of(factors: Factors, y: torch.Tensor) -> Tuple[torch.Tensor, torch.Tensor]:
    r"""The sums :math:`X^T X`, in the form for :func:`unpacked`, and :math:`X^T y`.

    .. math::
        (X^T X)_{bf, b'f'} = \sum_i \Big( \sum_m B_{im, b} \, B_{im, b'} \Big)
            \left( h_{i, f} \, h_{i, f'} \right)

    is a product of two matrices with a row for every sample and a column for every pair
    of tensors or features, in either order: :math:`4 (2 \lambda + 1)` times fewer
    operations than for the product of all rows, and a fourth of the memory.

    :param factors: left sides.
    :param y: right sides, ``(samples, 2λ + 1, properties)``
    :return: ``(pairs of tensors, pairs of features)``, or :math:`X^T X` itself where
        there are few of either; and ``(b · f, properties)``
    """
    if not are_products(factors.shape):
        x = factors.rows().flatten(0, 1)
        return x.T @ x, x.T @ y.flatten(0, 1)
    b, c = torch.triu_indices(factors.shape[0], factors.shape[0])
    f, g = torch.triu_indices(factors.shape[1], factors.shape[1])
    sums = factors.features.new_zeros(shape_of_sums(factors.shape))
    number = max(NUMBERS_AT_A_TIME // len(f), 1)
    for tensors, features in zip(*(x.split(number) for x in factors), strict=True):
        of_tensors = torch.einsum("imb,imc->ibc", tensors, tensors)[:, b, c]
        sums.addmm_(of_tensors.T, features[:, f] * features[:, g])
    with_y = torch.einsum("imb,imp->ibp", factors.tensors, y)
    return sums, torch.einsum("ibp,if->bfp", with_y, factors.features).flatten(0, 1)


def unpacked(sums: torch.Tensor, shape: Tuple[int, int]) -> torch.Tensor:
    """The matrix :math:`X^T X`, ``(b · f, b · f)``.

    :param sums: results of :func:`sums_of`, added up.
    :param shape: numbers of tensors and features.
    """
    if not are_products(shape):
        return sums
    b, f = (_number_of_pair(n).to(sums.device) for n in shape)
    # (b, f, b', f')
    return sums[b[:, None, :, None], f[None, :, None, :]].flatten(2).flatten(0, 1)


def diagonal(sums: torch.Tensor, shape: Tuple[int, int]) -> torch.Tensor:
    """The diagonal of :func:`unpacked`, ``(b · f,)``."""
    if not are_products(shape):
        return sums.diagonal()
    b, f = (_number_of_pair(n).diagonal().to(sums.device) for n in shape)
    return sums[b[:, None], f[None, :]].flatten()


def _number_of_pair(number: int) -> torch.Tensor:
    """The place of every pair among those of ``torch.triu_indices``, ``(n, n)``."""
    first, second = torch.triu_indices(number, number)
    places = torch.empty(number, number, dtype=torch.int64)
    places[first, second] = torch.arange(len(first))
    places[second, first] = torch.arange(len(first))
    return places
