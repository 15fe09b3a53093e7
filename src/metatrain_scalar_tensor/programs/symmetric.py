"""Symmetric tensors that are written with one index for two.

Six numbers of a symmetric matrix, 3 × 6 of a piezoelectric tensor ``e_ijk = e_ikj``,
and 6 × 6 of a stiffness ``c_ijkl = c_jikl = c_ijlk``. All are components without
factors, as it is for stress, stiffness and piezoelectric stress constants in Voigt's
notation (J. F. Nye, *Physical Properties of Crystals*, 1985). Strains, compliances and
piezoelectric strain constants have factors of 2 and 4 there, and are something else.
"""

from typing import Any, List, Sequence

import numpy as np


VOIGT = ("xx", "yy", "zz", "yz", "xz", "xy")

FULL_SHAPES = {6: (3, 3), 18: (3, 3, 3), 36: (3, 3, 3, 3)}
"""Of the tensors that have this many numbers"""

FULL_SIZES = {number: 3 ** len(shape) for number, shape in FULL_SHAPES.items()}
"""How many numbers they have with an axis for every index"""


def nine_of_six(order: Sequence[str]) -> List[int]:
    """Where the elements xx xy xz yx ... zz are among six numbers.

    :param order: which element each of the six is, as ``xx`` or ``xy``.
    """
    place = {pair: i for i, pair in enumerate(order)}
    return [place["".join(sorted(a + b))] for a in "xyz" for b in "xyz"]


def full_tensors(numbers: np.ndarray, order: Sequence[str] = VOIGT) -> np.ndarray:
    """Tensors with an axis for every index.

    :param numbers: 6, 18 (3 × 6) or 36 (6 × 6) for each tensor, row by row,
        ``(..., numbers)``
    :param order: which element each index of six is, as ``xx`` or ``xy``.
    :return: the tensors, ``(..., 3, 3)``, ``(..., 3, 3, 3)`` or ``(..., 3, 3, 3, 3)``
    """
    number = numbers.shape[-1]
    nine = nine_of_six(order)
    columns = np.arange(number).reshape(-1, 6)[:, nine]  # (rows, 9)
    if number == 36:
        columns = columns[nine]  # (9, 9)
    return numbers[..., columns].reshape(*numbers.shape[:-1], *FULL_SHAPES[number])


def voigt(tensor: Any) -> np.ndarray:
    """A symmetric tensor in Voigt's notation: ``xx yy zz yz xz xy``, without factors.

    :param tensor: one tensor, such as a predicted stiffness: ``(3, 3)``, ``(3, 3, 3)``
        symmetric in the last two indices, or ``(3, 3, 3, 3)`` in the first and in the
        last two.
    :return: ``(6,)``, ``(3, 6)`` or ``(6, 6)``, in the units of the tensor.
    :raises ValueError: if it has none of these shapes, or not the symmetry.
    """
    tensor = np.asarray(tensor)
    if tensor.shape not in FULL_SHAPES.values():
        raise ValueError(
            f"a tensor of shape {tensor.shape} has no Voigt notation: it must be one "
            "tensor of rank 2, 3 or 4, such as 'values[0, ..., 0]' of a prediction"
        )
    six = [3 * "xyz".index(pair[0]) + "xyz".index(pair[1]) for pair in VOIGT]
    result = tensor.reshape(*tensor.shape[:-2], 9)[..., six]
    if tensor.ndim == 4:
        result = result.reshape(9, 6)[six]
    difference = np.abs(full_tensors(result.flatten()) - tensor).max()
    if not difference <= 1e-4 * np.abs(tensor).max():
        raise ValueError(
            f"a tensor of shape {tensor.shape} is not symmetric in the indices that "
            f"Voigt's notation joins: elements differ by {difference:.3g}"
        )
    return result


def symmetric_matrix(numbers: Sequence[str], order: str) -> np.ndarray:
    """A matrix from its printed elements, ``(3, 3)``.

    :param numbers: six, as text.
    :param order: which element each of them is, as ``xx xy yy xz yz zz``.
    :raises ValueError: if they are not six, or no numbers.
    """
    six = np.array(numbers, dtype=float)
    if len(six) != 6:
        raise ValueError(f"six numbers are expected, not {' '.join(numbers)}")
    return full_tensors(six, order.split())
