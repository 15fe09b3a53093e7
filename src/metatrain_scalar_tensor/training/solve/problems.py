"""The ridge regressions of a target: which equations are solved together."""

from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple, Union

import torch

from .conjugate import LargeRidge
from .equations import SCALARS
from .ridge import Ridge
from .rows import Rows
from .weights import Place


# root mean square of features times tensors that symmetry makes zero, up to rounding:
# weights for these would be as large as they are small
VANISHING = 1e-5
BALANCES = (0.01, 0.1, 1.0)  # of features and linear terms


Solver = Union[Ridge, LargeRidge]


class Problem(NamedTuple):
    """Properties of one irrep that are known for the same samples."""

    place: Place
    """Where its weights are"""
    properties: torch.Tensor
    solvers: List[Solver]
    """With different penalties"""
    y: torch.Tensor
    """The right sides, ``(rows, properties)``"""
    others: Optional[Tuple[torch.Tensor, torch.Tensor]]
    """The equations of the validation set, if any"""


def vanishes(x: torch.Tensor) -> bool:
    """Whether features times tensors are zero by symmetry, up to rounding.

    :param x: left sides, ``(rows, columns)``
    """
    return bool(x.square().mean().sqrt() < VANISHING)


def problems_of(
    head: Any,
    kind: int,
    symmetry: str,
    training: Rows,
    validation: Rows,
    max_equations: int,
) -> Iterator[Problem]:
    """The regressions for the irreps of one symmetry, which have the same left sides.

    There are none if the tensors vanish in all training data.

    :param head: head of the target.
    :param kind: number of the kind of centers whose equations these are.
    :param symmetry: the symmetry.
    :param training: equations of the training set.
    :param validation: equations of the validation set.
    :param max_equations: of how many equations or weights, whichever are fewer, to take
        all for eigenvectors.
    """
    x = training.of_symmetry(symmetry)
    if vanishes(x):
        return
    x_of_others = None
    if symmetry in validation.x:
        x_of_others = validation.of_symmetry(symmetry)
    all_scales = _scales(x, head.coefficients.weight.shape[1], symmetry)
    solvers: Dict[bytes, List[Solver]] = {}
    for i, block in enumerate(head.blocks):
        for j in [j for j, s in enumerate(block.basis_names) if s == symmetry]:
            y = training.of_irrep(i, j)
            known, pattern_of = torch.unique(y.isfinite(), dim=1, return_inverse=True)
            for number, rows in enumerate(known.unbind(1)):
                properties = torch.where(pattern_of == number)[0]
                if not rows.any():
                    continue
                key = rows.numpy().tobytes()
                if key not in solvers:
                    x_of_rows = x if rows.all() else x[rows]
                    solvers[key] = [
                        _solver(x_of_rows, scales, max_equations)
                        for scales in all_scales
                    ]
                others = None
                if x_of_others is not None:
                    y_of_others = validation.of_irrep(i, j)[:, properties]
                    others = _known_rows(x_of_others, y_of_others)
                place = Place(head, i, j, kind)
                y_of_rows = y[rows][:, properties]
                yield Problem(place, properties, solvers[key], y_of_rows, others)


def _solver(x: torch.Tensor, scales: torch.Tensor, max_equations: int) -> Solver:
    """The method for as many rows and columns."""
    if min(x.shape) > max_equations:
        return LargeRidge(x, scales, max_equations)
    return Ridge(x, scales)


def _scales(x: torch.Tensor, num_features: int, symmetry: str) -> List[torch.Tensor]:
    """Factors of the columns to try.

    Those of the features relative to those of the linear term, if there is one.

    :param x: left sides, ``(rows, columns)``
    :param num_features: number of features, which are first for scalars.
    :param symmetry: the symmetry.
    """
    ones = x.new_ones(x.shape[1])
    if symmetry != SCALARS or x.shape[1] == num_features:
        return [ones]
    is_feature = torch.arange(len(ones)) < num_features
    sizes = x.square().sum(0)
    ratio = (sizes[~is_feature].sum() / sizes[is_feature].sum()).sqrt()
    return [torch.where(is_feature, balance * ratio, 1.0) for balance in BALANCES]


def _known_rows(
    x: torch.Tensor, y: torch.Tensor
) -> Optional[Tuple[torch.Tensor, torch.Tensor]]:
    """The equations whose right sides are known; ``None`` if there are none."""
    known = y.isfinite().all(1)
    return (x[known], y[known]) if known.any() else None
