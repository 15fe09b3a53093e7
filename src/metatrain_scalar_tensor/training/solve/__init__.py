"""The last weights in closed form: predictions are linear in them."""

import logging
import math
from typing import Any, Dict, List, Optional, Tuple

import torch

from ...interface.architecture import ScalarTensor
from ...interface.names import is_stress
from ..fit import Fit
from .equations import SCALARS, collect_rows
from .ridge import Ridge, Solution
from .rows import Rows
from .weights import get_weights, set_weights


# root mean square of features times tensors that symmetry makes zero, up to rounding:
# weights for these would be as large as they are small
VANISHING = 1e-5
BALANCES = (0.01, 0.1, 1.0)  # of features and linear terms


def solve_heads(model: ScalarTensor, fit: Fit) -> Dict[str, float]:
    """Replace the last weights of targets by the best ones for the present features.

    For every target, irrep by irrep, this is a ridge regression on the training set.
    The strength of the ridge is chosen on the validation set, or by generalised cross
    validation if there are no validation values. A target whose validation error would
    increase keeps its weights, and so do heads that a fine-tuning must not change.

    :param model: the model, whose weights are changed in place.
    :param fit: its training, which has the batches.
    :return: loss and errors of the validation set with the new weights.
    """
    infos = model.dataset_info.targets
    heads = {
        name: head
        for name, head in model.model.heads().items()
        if not is_stress(name)  # whose equations contain the volume
        and (model.model.long_range is None or len(infos[name].gradients) == 0)
        and all(weights.requires_grad for weights in head.parameters())
    }
    before = fit.validate()
    if len(heads) == 0:
        logging.info("No head can be solved")
        return before
    training, validation = [
        collect_rows(fit.runner, data, heads) for data in fit.loaders.for_solve()
    ]
    old_weights = {
        name: {key: weights.clone() for key, weights in head.state_dict().items()}
        for name, head in heads.items()
    }
    for name, head in heads.items():
        if len(training[name].x) > 0:
            _solve_target(name, head, training[name], validation[name])
    after = fit.validate()
    has_refused = False
    for name, head in heads.items():
        old, new = _error(name, before), _error(name, after)
        verdict = "accepted"
        if not new <= old:  # also where it is NaN
            has_refused = True
            head.load_state_dict(old_weights[name])
            verdict = "worse, and refused"
        logging.info(
            f"Validation error of '{name}' before and after the solve: {old:.3g}, "
            f"{new:.3g} ({verdict})"
        )
    return fit.validate() if has_refused else after


def _error(name: str, results: Dict[str, float]) -> float:
    """The RMSE of a target, summed over its blocks; zero without validation values.

    Times those of forces and stress, as in the default metric for the best epoch.
    """
    errors = {key: value for key, value in results.items() if "RMSE" in key}
    of_values = [
        value
        for key, value in errors.items()
        if key.startswith((f"{name} ", f"{name}("))
    ]
    of_gradients = [
        value
        for key, value in errors.items()
        if key.startswith(f"{name}_") and "_gradients " in key
    ]
    return sum(of_values) * math.prod(of_gradients)


def _solve_target(name: str, head: Any, training: Rows, validation: Rows) -> None:
    """Solve for all irreps of a target; those of one symmetry have the same rows."""
    for symmetry in training.x:
        x = training.of_symmetry(symmetry)
        if x.square().mean().sqrt() < VANISHING:
            continue
        x_of_others = None
        if symmetry in validation.x:
            x_of_others = validation.of_symmetry(symmetry)
        all_scales = _scales(x, head.blocks[0].coefficients[0].in_features, symmetry)
        solvers: Dict[bytes, List[Ridge]] = {}
        solutions: List[Solution] = []
        for i, block in enumerate(head.blocks):
            for j in [j for j, s in enumerate(block.basis_names) if s == symmetry]:
                y = training.of_irrep(i, j)
                known, pattern_of = torch.unique(
                    y.isfinite(), dim=1, return_inverse=True
                )
                # properties that are known for the same samples are solved together
                for number, rows in enumerate(known.unbind(1)):
                    properties = torch.where(pattern_of == number)[0]
                    if not rows.any():
                        continue
                    key = rows.numpy().tobytes()
                    if key not in solvers:
                        solvers[key] = [Ridge(x[rows], scales) for scales in all_scales]
                    others = None
                    if x_of_others is not None:
                        y_of_others = validation.of_irrep(i, j)[:, properties]
                        others = _known_rows(x_of_others, y_of_others)
                    solution = _best_solution(
                        solvers[key],
                        y[rows][:, properties],
                        others,
                        get_weights(block, j, properties),
                    )
                    set_weights(block, j, properties, solution.weights)
                    solutions.append(solution)
        _log_solutions(name, symmetry, x.shape, solutions)


def _log_solutions(
    name: str, symmetry: str, shape: torch.Size, solutions: List[Solution]
) -> None:
    if len(solutions) > 0:
        strengths = [solution.strength for solution in solutions]
        numbers = [solution.num_parameters for solution in solutions]
        logging.info(
            f"Solved for '{name}', {symmetry}: {shape[0]} rows, {shape[1]} weights, "
            f"of which {min(numbers):.0f} to {max(numbers):.0f} count, with ridges of "
            f"{min(strengths):.0e} to {max(strengths):.0e}"
        )


def _best_solution(
    solvers: List[Ridge],
    y: torch.Tensor,
    others: Optional[Tuple[torch.Tensor, torch.Tensor]],
    present: torch.Tensor,
) -> Solution:
    """The solution with the smallest error.

    What is penalised are the weights or, as another candidate, their difference from
    the present ones, which is what is left to learn after a training.

    :param solvers: with different penalties.
    :param y: the right sides, ``(rows, properties)``
    :param others: the equations of the validation set, if any.
    :param present: the present weights, ``(columns, properties)``
    """
    candidates = [ridge.solve(y, others) for ridge in solvers]
    if others is not None:  # cross validation can't compare weights that saw the data
        of_others = (others[0], others[1] - others[0] @ present)
        for ridge in solvers:
            rest = y - ridge.x @ (present / ridge.scales.unsqueeze(1))
            change = ridge.solve(rest, of_others)
            candidates.append(change._replace(weights=present + change.weights))
    return min(candidates, key=lambda solution: solution.error)


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
