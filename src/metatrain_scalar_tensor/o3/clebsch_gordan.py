"""Products of real spherical tensors."""

from functools import cache

import numpy as np
import torch
import wigners

from .components import on_components, on_cpu


def _real_from_complex(l: int) -> np.ndarray:
    """Unitary matrix ``U`` with ``Y_real = U @ Y_complex``, ``(2l+1, 2l+1)``.

    The complex harmonics have the Condon–Shortley phase, the real ones do not.
    """
    matrix = np.zeros((2 * l + 1, 2 * l + 1), dtype=complex)
    matrix[l, l] = 1.0
    for m in range(1, l + 1):
        matrix[l + m, l - m] = 1 / np.sqrt(2)
        matrix[l + m, l + m] = (-1) ** m / np.sqrt(2)
        matrix[l - m, l - m] = 1j / np.sqrt(2)
        matrix[l - m, l + m] = -1j * (-1) ** m / np.sqrt(2)
    return matrix


@cache
def _clebsch_gordan(l1: int, l2: int, l3: int) -> np.ndarray:
    coupled = np.einsum(
        "am,bn,cp,mnp->abc",
        _real_from_complex(l1),
        _real_from_complex(l2),
        _real_from_complex(l3).conj(),
        wigners.clebsch_gordan_array(l1, l2, l3),
    )
    # real for even l1 + l2 + l3, imaginary for odd: this phase is dropped by convention
    return coupled.real if (l1 + l2 + l3) % 2 == 0 else coupled.imag


def check_triangle(l1: int, l2: int, l3: int) -> None:
    """Refuse products that do not exist.

    :raises ValueError: if ``l3`` is not between ``|l1 - l2|`` and ``l1 + l2``.
    """
    if not abs(l1 - l2) <= l3 <= l1 + l2:
        raise ValueError(
            f"tensors of rank {l1} and {l2} have no product of rank {l3}: it must lie "
            f"between {abs(l1 - l2)} and {l1 + l2}"
        )


def clebsch_gordan(l1: int, l2: int, l3: int) -> torch.Tensor:
    """Real Clebsch–Gordan coefficients ``⟨l1 m1 l2 m2 | l3 m3⟩``.

    Orthonormal: ``Σ_{m1 m2} C[m1, m2, m3] C[m1, m2, m3'] = δ(m3, m3')``. Computed with
    the library `wigners <https://github.com/Luthaf/wigners>`_.

    :param l1: rank of the first tensor.
    :param l2: rank of the second tensor.
    :param l3: rank of their product.
    :return: float64 coefficients, ``(2 l1 + 1, 2 l2 + 1, 2 l3 + 1)``
    :raises ValueError: if ``l3`` is not between ``|l1 - l2|`` and ``l1 + l2``.
    """
    check_triangle(l1, l2, l3)
    return torch.from_numpy(_clebsch_gordan(l1, l2, l3).copy())


class CoupledProduct(torch.nn.Module):
    r"""The coupled product of two tensors, channel by channel.

    .. math::
        [x_c \otimes y_c]_{l_3 m_3} = \sum_{m_1 m_2}
            \langle l_1 m_1 l_2 m_2 | l_3 m_3 \rangle \, x_{c, m_1} \, y_{c, m_2}

    For proper ``x`` and ``y`` it is a proper tensor if :math:`l_1 + l_2 + l_3` is even,
    and a pseudotensor if it is odd.

    :param l1: rank of the first tensor.
    :param l2: rank of the second tensor.
    :param l3: rank of the product.
    :param unit: scale the *maximal* product (``l3 = l1 + l2``) so that the tensors of
        two parallel unit vectors give a tensor of unit norm.
    """

    coefficients: torch.Tensor

    @on_cpu
    def __init__(self, l1: int, l2: int, l3: int, unit: bool = False) -> None:
        super().__init__()
        coefficients = clebsch_gordan(l1, l2, l3)
        if unit:
            # the m = 0 components are those of a vector along z
            coefficients = coefficients / coefficients[l1, l2, l3].abs()
        self.register_buffer(
            "coefficients",
            coefficients.reshape(-1, 2 * l3 + 1).T.contiguous(),  # (m3, m1 m2)
            persistent=False,
        )

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Couple ``x`` and ``y``.

        :param x: ``(atoms, 2 l1 + 1, channels)``
        :param y: ``(atoms, 2 l2 + 1, channels)``
        :return: ``(atoms, 2 l3 + 1, channels)``
        """
        products = x.unsqueeze(2) * y.unsqueeze(1)  # (atoms, m1, m2, channels)
        return on_components(self.coefficients, products.flatten(1, 2))
