"""The ridge regressions of a target: which equations are solved together."""

from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

import torch

from .collect import SCALARS
from .conjugate import LargeRidge
from .equations import Equations, Gram, LargeLeft, Left, Regression, joined
from .ridge import Solver, TallRidge, WideRidge
from .rows import Rows
from .weights import Place, get_weights, set_weights


# root mean square of features times tensors that symmetry makes zero, up to rounding:
# weights for these would be as large as they are small
VANISHING = 1e-5
BALANCES = (0.01, 0.1, 1.0)  # of features and linear terms


class Problem(NamedTuple):
    """Irreps with properties that are known for the same samples."""

    places: List[Place]
    """Where the weights of each irrep are"""
    properties: List[torch.Tensor]
    """Numbers of the properties of each irrep"""
    solvers: List[Solver]
    """With different penalties"""
    y: Any
    """The right sides of all properties, as the solvers take them"""
    others: Optional[Tuple[torch.Tensor, torch.Tensor]]
    """The equations of the validation set, if any"""

    def present_weights(self) -> torch.Tensor:
        """The weights that the heads have, ``(columns, properties)``."""
        pairs = zip(self.places, self.properties, strict=True)
        return torch.cat([get_weights(*pair) for pair in pairs], dim=1)

    def set_weights(self, weights: torch.Tensor) -> None:
        """Give the heads other weights, ``(columns, properties)``."""
        sizes = [len(properties) for properties in self.properties]
        parts = weights.split(sizes, dim=1)
        for of_irrep in zip(self.places, self.properties, parts, strict=True):
            set_weights(*of_irrep)


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

    There are none if the tensors vanish in all training data, or in those in which the
    properties are known.

    :param head: head of the target.
    :param kind: number of the kind of centers whose equations these are.
    :param symmetry: the symmetry.
    :param training: equations of the training set.
    :param validation: equations of the validation set.
    """
    squares = training.squares(symmetry)
    if vanishes(squares):
        return
    all_scales = _scales(squares, head.coefficients.weight.shape[1], symmetry)
    x_of_others = validation.left(symmetry)
    groups: Dict[Tuple[bytes, bytes], List[_Irrep]] = {}
    for equations in training.regressions(symmetry):
        if vanishes(_mean_squares(equations.left)):  # for the samples that are known
            continue
        others = torch.empty(0, len(equations.properties))
        if len(x_of_others) > 0:
            others = validation.right(symmetry, equations.irrep)
            others = others[:, equations.properties]
        known = others.isfinite().all(1)
        key = (equations.samples, known.numpy().tobytes())
        groups.setdefault(key, []).append(_Irrep(equations, others[known], known))
    solvers: Dict[bytes, List[Solver]] = {}
    for (samples, _), irreps in groups.items():
        equations, others, known = irreps[0]
        if samples not in solvers:
            solvers[samples] = [
                _solver(equations.left, scales) for scales in all_scales
            ]
        validation_rows = None
        if known.any():
            y_of_others = joined([irrep.others for irrep in irreps])
            validation_rows = (x_of_others[known], y_of_others)
        yield Problem(
            [Place(head, *irrep.equations.irrep, kind) for irrep in irreps],
            [irrep.equations.properties for irrep in irreps],
            solvers[samples],
            joined([irrep.equations.right for irrep in irreps]),
            validation_rows,
        )


class _Irrep(NamedTuple):
    """One irrep of a problem."""

    equations: Regression
    others: torch.Tensor
    """Known right sides of the validation set, ``(known rows, properties)``"""
    known: torch.Tensor
    """Which of its rows these are, ``(rows,)``"""


def _mean_squares(left: Left) -> torch.Tensor:
    """Of every column, ``(columns,)``."""
    rows = left.all if isinstance(left, LargeLeft) else left
    if isinstance(rows, Gram):
        return rows.xx.diagonal() / rows.num_rows
    return rows.square().mean(0)


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
