"""The ridge regressions of a target: which equations are solved together."""

from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

import torch

from .collect import SCALARS
from .conjugate import LargeRidge
from .equations import Equations, Gram, LargeLeft, Left
from .ridge import Solver, TallRidge, WideRidge
from .rows import Rows
from .weights import Place


# root mean square of features times tensors that symmetry makes zero, up to rounding:
# weights for these would be as large as they are small
VANISHING = 1e-5
BALANCES = (0.01, 0.1, 1.0)  # of features and linear terms


class Problem(NamedTuple):
    """Properties of one irrep that are known for the same samples."""

    place: Place
    """Where its weights are"""
    properties: torch.Tensor
    solvers: List[Solver]
    """With different penalties"""
    y: Any
    """The right sides, as the solvers take them"""
    others: Optional[Tuple[torch.Tensor, torch.Tensor]]
    """The equations of the validation set, if any"""


def vanishes(squares: torch.Tensor) -> bool:
    """Whether features times tensors are zero by symmetry, up to rounding.

    :param squares: mean squares of the columns.
    """
    return len(squares) == 0 or bool(squares.mean().sqrt() < VANISHING)


def problems_of(
    head: Any,
    kind: int,
    symmetry: str,
    training: Equations,
    validation: Rows,
) -> Iterator[Problem]:
    """The regressions for the irreps of one symmetry, which have the same left sides.

    There are none if the tensors vanish in all training data.

    :param head: head of the target.
    :param kind: number of the kind of centers whose equations these are.
    :param symmetry: the symmetry.
    :param training: equations of the training set.
    :param validation: equations of the validation set.
    """
    squares = training.squares(symmetry)
    if vanishes(squares):
        return
    others = _Others(validation, symmetry)
    all_scales = _scales(squares, head.coefficients.weight.shape[1], symmetry)
    solvers: Dict[bytes, List[Solver]] = {}
    for of_samples in training.regressions(symmetry):
        if of_samples.samples not in solvers:
            solvers[of_samples.samples] = [
                _solver(of_samples.left, scales) for scales in all_scales
            ]
        yield Problem(
            Place(head, *of_samples.irrep, kind),
            of_samples.properties,
            solvers[of_samples.samples],
            of_samples.right,
            others.known(of_samples.irrep, of_samples.properties),
        )


class _Others:
    """The equations of the validation set for one symmetry.

    The left sides for the same samples are the same tensor, for which solvers look.

    :param rows: those of all symmetries.
    :param symmetry: the symmetry.
    """

    def __init__(self, rows: Rows, symmetry: str) -> None:
        self.rows = rows
        self.symmetry = symmetry
        self.x = rows.left(symmetry)
        self._x_of: Dict[bytes, torch.Tensor] = {}

    def known(
        self, irrep: Tuple[int, int], properties: torch.Tensor
    ) -> Optional[Tuple[torch.Tensor, torch.Tensor]]:
        """The equations whose right sides are known; ``None`` if there are none."""
        if len(self.x) == 0:
            return None
        y = self.rows.right(self.symmetry, irrep)[:, properties]
        known = y.isfinite().all(1)
        if not known.any():
            return None
        key = known.numpy().tobytes()
        if key not in self._x_of:
            self._x_of[key] = self.x[known]
        return self._x_of[key], y[known]


def _solver(left: Left, scales: torch.Tensor) -> Solver:
    """The method for such left sides."""
    if isinstance(left, Gram):
        return TallRidge(left, scales)
    if isinstance(left, LargeLeft):
        return LargeRidge(left, scales)
    return WideRidge(left, scales)


def _scales(
    squares: torch.Tensor, num_features: int, symmetry: str
) -> List[torch.Tensor]:
    """Factors of the columns to try.

    Those of the features relative to those of the linear term, if there is one.

    :param squares: mean squares of the columns.
    :param num_features: number of features, which are first for scalars.
    :param symmetry: the symmetry.
    """
    ones = torch.ones_like(squares)
    if symmetry != SCALARS or len(squares) == num_features:
        return [ones]
    is_feature = torch.arange(len(ones)) < num_features
    ratio = (squares[~is_feature].sum() / squares[is_feature].sum()).sqrt()
    return [torch.where(is_feature, balance * ratio, 1.0) for balance in BALANCES]
