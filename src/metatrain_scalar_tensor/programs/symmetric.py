"""Symmetric matrices that are written as six numbers."""

from typing import List, Sequence

import numpy as np


def nine_of_six(order: Sequence[str]) -> List[int]:
    """Where the elements xx xy xz yx ... zz are among six numbers.

    :param order: which element each of the six is, as ``xx`` or ``xy``.
    """
    place = {pair: i for i, pair in enumerate(order)}
    return [place["".join(sorted(a + b))] for a in "xyz" for b in "xyz"]


def symmetric_matrix(numbers: Sequence[str], order: str) -> np.ndarray:
    """A matrix from its printed elements, ``(3, 3)``.

    :param numbers: six, as text.
    :param order: which element each of them is, as ``xx xy yy xz yz zz``.
    :raises ValueError: if they are not six, or no numbers.
    """
    six = np.array(numbers, dtype=float)
    if len(six) != 6:
        raise ValueError(f"six numbers are expected, not {' '.join(numbers)}")
    return six[nine_of_six(order.split())].reshape(3, 3)
