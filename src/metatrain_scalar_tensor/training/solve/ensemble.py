"""Ensembles of heads, drawn from the posterior of the last weights."""

import logging
from typing import Any, Dict, List, NamedTuple, Optional, Set

import torch

from ...interface.architecture import ScalarTensor
from ..fit import Fit
from . import solvable_heads
from .equations import Equations
from .exchanged import VANISHING_VARIANCE, calibrate_exchanged
from .passes import Part, parts_of
from .problems import Problem, problems_of, vanishes
from .ridge import Solution, Solver
from .rows import Rows
from .weights import Place, get_weights, set_weights


@torch.no_grad()
def draw_ensembles(model: ScalarTensor, fit: Fit, number: int) -> None:
    r"""Give the heads ensembles that scatter as their weights are uncertain.

    .. math::
        W_m = W + s \, \delta_m, \qquad
        \delta_m \sim \mathcal{N}(0, (\Phi^T \Phi + \alpha)^{-1}), \qquad
        \sum_m \delta_m = 0

    with the posterior covariance of the ridge regression for the present features
    (C. M. Bishop, *Pattern Recognition and Machine Learning*, 2006, Eq. 3.54; for the
    last layer of a network: F. Bigi et al., `doi:10.1088/2632-2153/ad805f
    <https://doi.org/10.1088/2632-2153/ad805f>`_), and a factor :math:`s` for every
    irrep and property, with which the squared errors of the validation set divided by
    the predicted variances average to one.

    Heads whose equations can't be set up, and those without data, get no ensemble.
    Frozen ones keep theirs.

    :param model: the model, whose weights stay the same.
    :param fit: its training, which has the batches.
    :param number: the number of members, at least 2.
    """
    heads = solvable_heads(model)
    draws = _Draws(
        number,
        torch.Generator().manual_seed(0),  # the same in every process
    )
    drawn: Set[str] = set()  # targets with symmetries in earlier parts
    for part in parts_of(fit, heads, with_values=True):
        for name in part.training.keys() - drawn:
            heads[name].reset_members(number)
        drawn |= part.training.keys()
        _draw_part(part, heads, draws)
        del part  # before there is the next one
    for name in sorted(drawn):
        if heads[name].exchange is not None:
            calibrate_exchanged(fit, name, heads[name])
    for head in heads.values():
        fit.processes.share(head)
    for name, head in model.model.heads().items():
        if head.num_members() == 0:
            logging.info(f"There are no equations for an ensemble of '{name}'")
    model.offer_ensembles()


class _Draws(NamedTuple):
    """How to draw."""

    number: int
    """Of members"""
    generator: torch.Generator


class _Others(NamedTuple):
    """The equations of the validation set, of one target and kind of centers."""

    validation: Rows
    values: Rows
    """Those of the validation set for values, without gradients"""


class _Known(NamedTuple):
    """What the values of the validation set say about one problem."""

    x: torch.Tensor
    """``(samples · components, columns)``"""
    y: torch.Tensor
    """``(samples · components, properties)``; may be NaN"""


def _draw_part(part: Part, heads: Dict[str, Any], draws: _Draws) -> None:
    """Draw the weights of what is in memory."""
    for name, of_kinds in part.training.items():
        of_kinds_and_others = zip(
            of_kinds, part.validation[name], part.values[name], strict=True
        )
        for kind, (training, *others) in enumerate(of_kinds_and_others):
            for equations in training:
                _draw_ensemble(
                    name, heads[name], kind, equations, _Others(*others), draws
                )


def _draw_ensemble(
    name: str,
    head: Any,
    kind: int,
    training: Equations,
    others: _Others,
    draws: _Draws,
) -> None:
    """Draw the weights of all irreps of a target, symmetry by symmetry."""
    validation, values = others
    for symmetry in training.symmetries:
        squares = training.squares(symmetry)
        if len(squares) == 0:  # no data, the members stay NaN
            continue
        if vanishes(squares):
            _set_zero(head, kind, symmetry)
            continue
        factors: List[float] = []
        for problem in problems_of(head, kind, symmetry, training, validation):
            known = None
            if symmetry in values.x:
                y = [
                    values.right(symmetry, (place.block, place.irrep))[:, properties]
                    for place, properties in zip(problem.places, problem.properties)
                ]
                known = _Known(values.left(symmetry), torch.cat(y, dim=1))
            factors += _draw(problem, draws, known)
        if len(factors) > 0:
            logging.info(
                f"Ensemble of '{name}', {symmetry}: {draws.number} members, calibrated "
                f"with factors of {min(factors):.1e} to {max(factors):.1e}"
            )


def _set_zero(head: Any, kind: int, symmetry: str) -> None:
    """No spread of what vanishes in all data."""
    for i, block in enumerate(head.blocks):
        for j in [j for j, s in enumerate(block.basis_names) if s == symmetry]:
            place = Place(head, i, j, kind)
            properties = torch.arange(block.num_properties)
            zero = torch.zeros_like(get_weights(place, properties))
            for member in range(head.num_members()):
                set_weights(place, properties, zero, member)


def _draw(problem: Problem, draws: _Draws, known: Optional[_Known]) -> List[float]:
    """Draw the weights of one problem, for each property independently.

    :param problem: the equations.
    :param draws: how to draw.
    :param known: values of the validation set, if any.
    :return: for every property, the factor from the calibration.
    """
    solutions = [solver.solve(problem.y, problem.others) for solver in problem.solvers]
    best = torch.stack([solution.errors for solution in solutions]).argmin(0)
    weights = problem.present_weights()  # (columns, properties)
    properties = [
        (place, k_in_block)
        for place, of_place in zip(problem.places, problem.properties, strict=True)
        for k_in_block in of_place.split(1)
    ]
    factors: List[float] = []
    for k, (place, k_in_block) in enumerate(properties):
        solver, solution = problem.solvers[best[k]], solutions[best[k]]
        shape = (solver.num_normal, draws.number)
        normal = torch.randn(shape, generator=draws.generator, dtype=torch.float64)
        delta = solver.draw(float(solution.strengths[k]), normal)  # (columns, members)
        delta = delta - delta.mean(1, keepdim=True)
        delta = delta.to(place.head.coefficients.weight.dtype).double()  # as stored
        factor = None
        if known is not None:
            errors = known.x @ weights[:, k] - known.y[:, k]
            factor = calibrate(errors, known.x @ delta, place.num_components)
        if factor is None:
            factor = _cross_validated(solver, solution, problem.y, k)
        for m, difference in enumerate(delta.split(1, dim=1)):
            set_weights(place, k_in_block, factor * difference, m)
        factors.append(factor)
    return factors


def calibrate(
    errors: torch.Tensor, differences: torch.Tensor, num_components: int
) -> Optional[float]:
    r"""The factor with which squared errors are as large as variances predict.

    .. math::
        s^2 = \left\langle \epsilon^2 / \sigma^2 \right\rangle

    with the same variance for all components of a sample.

    :param errors: errors of one property, ``(samples · components,)``; may be NaN.
    :param differences: of the members from the prediction, with a mean of zero,
        ``(samples · components, members)``
    :param num_components: number of components.
    :return: the factor; ``None`` if all errors are NaN.
    """
    variances = differences.square().sum(1) / (differences.shape[1] - 1)
    variances = variances.reshape(-1, num_components).mean(1)
    is_used = variances > VANISHING_VARIANCE * variances.mean()
    ratios = errors.reshape(-1, num_components).square() / variances.unsqueeze(1)
    ratios = ratios[is_used]
    ratios = ratios[ratios.isfinite()]
    return float(ratios.mean().sqrt()) if len(ratios) > 0 else None


def _cross_validated(solver: Solver, solution: Solution, y: Any, k: int) -> float:
    r"""The same factor from the residuals of the training set.

    .. math::
        s^2 = \frac{|X w - y|^2}{n} \left/ \left( 1 - \frac{p}{n} \right)
            \frac{p}{n} \right.

    from the mean leave-one-out error and variance, for leverages that all have the mean
    :math:`p / n`, as in generalised cross validation.

    :param solver: has the left sides of :math:`n` rows.
    :param solution: the weights, with :math:`p` effective parameters.
    :param y: right sides, as the solver takes them.
    :param k: the property.
    """
    leverage = float(solution.num_parameters[k]) / solver.num_rows
    leverage = min(max(leverage, 1e-12), 1.0 - 1e-12)
    residual = solver.mean_squares(solver.rest(y, solution.weights))[k]
    return float((residual / (leverage * (1.0 - leverage))).sqrt())
