"""The last weights in closed form: predictions are linear in them."""

import logging
import math
import re
from functools import reduce
from typing import Any, Dict, List

import torch

from ...interface.architecture import ScalarTensor
from ...interface.names import is_stress
from ...readout.heads import TargetHead
from ..fit import Fit
from .equations import Equations
from .passes import Part, parts_of
from .problems import Problem, problems_of
from .ridge import Solution
from .rows import Rows


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
    heads = solvable_heads(model)
    _warn_of_random_heads(model, fit, heads)
    before = fit.validate()
    if len(heads) == 0:
        logging.info("No head can be solved")
        return before
    old_weights = {
        name: {key: weights.clone() for key, weights in head.state_dict().items()}
        for name, head in heads.items()
    }
    for part in parts_of(fit, heads):
        _solve_part(part, heads)
        del part  # before there is the next one
    for head in heads.values():
        fit.processes.share(head)
    after = fit.validate()
    has_refused = False
    for name, head in heads.items():
        counted = _quantities_of_loss(name, fit.runner.loss.metadata[name])
        old, new = _error(counted, before), _error(counted, after)
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


def solvable_heads(model: ScalarTensor) -> Dict[str, TargetHead]:
    """The heads that are not frozen and whose equations can be set up."""
    infos = model.dataset_info.targets
    return {
        name: head
        for name, head in model.model.heads().items()
        if not is_stress(name)  # whose equations contain the volume
        and (model.model.long_range is None or len(infos[name].gradients) == 0)
        and all(weights.requires_grad for weights in head.parameters())
    }


def _warn_of_random_heads(
    model: ScalarTensor, fit: Fit, solved: Dict[str, TargetHead]
) -> None:
    """Say which targets a fit without epochs leaves as they are."""
    for name, head in model.model.heads().items():
        is_trained = all(weights.requires_grad for weights in head.parameters())
        if fit.hypers["num_epochs"] == 0 and is_trained and name not in solved:
            logging.warning(
                f"'num_epochs: 0' does not fit '{name}', which can't be solved in "
                "closed form: its predictions stay those of the initial weights"
            )


def _quantities_of_loss(name: str, loss: Dict[str, Any]) -> List[str]:
    """A target and its gradients, as results name them, but those of no weight.

    :param name: name of the target.
    :param loss: weights of the target and its gradients.
    """
    gradients = loss["gradients"].items()
    of_gradients = {f"{name}_{kind}_gradients": x["weight"] for kind, x in gradients}
    weights = {name: loss["weight"], **of_gradients}
    return [quantity for quantity, weight in weights.items() if weight > 0]


def _error(quantities: List[str], results: Dict[str, float]) -> float:
    """The RMSE, summed over blocks; zero without validation values.

    The product of those of several quantities, as in the default metric for the best
    epoch.
    """
    errors: Dict[str, float] = {}
    for key, value in results.items():  # "energy (_=0)_positions_gradients RMSE"
        quantity, is_rmse, _ = key.partition(" RMSE")
        quantity = re.sub(r" \(.*\)", "", quantity)  # with 'log_separate_blocks'
        if is_rmse and quantity in quantities:
            errors[quantity] = errors.get(quantity, 0.0) + value
    return math.prod(errors.values()) if errors else 0.0


def _solve_part(part: Part, heads: Dict[str, TargetHead]) -> None:
    """Solve the equations that are in memory."""
    for name, of_kinds in part.training.items():
        of_kinds_and_others = zip(of_kinds, part.validation[name], strict=True)
        for kind, (training, others) in enumerate(of_kinds_and_others):
            for equations in training:
                _solve_target(name, heads[name], kind, equations, others)


def _solve_target(
    name: str,
    head: Any,
    kind: int,
    training: Equations,
    validation: Rows,
) -> None:
    """Solve for all irreps of one kind of centers, symmetry by symmetry."""
    for symmetry in training.symmetries:
        solutions: List[Solution] = []
        for problem in problems_of(head, kind, symmetry, training, validation):
            solution = _best_solution(problem, problem.present_weights())
            problem.set_weights(solution.weights)
            solutions.append(solution)
        if len(solutions) > 0:
            _log_solutions(name, symmetry, problem.solvers[0].num_rows, solutions)


def _log_solutions(
    name: str, symmetry: str, num_rows: int, solutions: List[Solution]
) -> None:
    strengths = torch.cat([solution.strengths for solution in solutions])
    numbers = torch.cat([solution.num_parameters for solution in solutions])
    num_weights = len(solutions[0].weights)
    logging.info(
        f"Solved for '{name}', {symmetry}: {num_rows} rows, {num_weights} weights, "
        f"of which {float(numbers.min()):.0f} to {float(numbers.max()):.0f} count, "
        f"with ridges of {float(strengths.min()):.0e} to {float(strengths.max()):.0e}"
    )


def _best_solution(problem: Problem, present: torch.Tensor) -> Solution:
    """The solution with the smallest error, for every property.

    What is penalised are the weights or, as another candidate, their difference from
    the present ones, which is what is left to learn after a training. Random ones,
    whose predictions are worse than zero, are no such candidate.

    :param problem: the equations.
    :param present: the present weights, ``(columns, properties)``
    """
    y, others = problem.y, problem.others
    candidates = [solver.solve(y, others) for solver in problem.solvers]
    if others is not None:  # cross validation can't compare weights that saw the data
        rest_of_others = others[1] - others[0] @ present
        if rest_of_others.square().sum() < others[1].square().sum():
            for solver in problem.solvers:
                rest = solver.rest(y, present)
                change = solver.solve(rest, (others[0], rest_of_others))
                weights = present + change.weights
                candidates.append(change._replace(weights=weights))
    return reduce(Solution.or_better, candidates)
