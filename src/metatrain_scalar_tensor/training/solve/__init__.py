"""The last weights in closed form: predictions are linear in them."""

import logging
import math
from typing import Any, Dict, List, Optional, Tuple

import torch

from ...interface.architecture import ScalarTensor
from ...interface.names import is_stress
from ..fit import Fit
from .ridge import Ridge, Solution
from .rows import SCALARS, Rows, collect_rows


# root mean square of features times tensors that symmetry makes zero, up to rounding:
# weights for these would be as large as they are small
VANISHING = 1e-5
BALANCES = (0.01, 0.1, 1.0)  # of features and linear terms


def solve_heads(model: ScalarTensor, fit: Fit) -> Dict[str, float]:
    """Replace the last weights of targets by the best ones for the present features.

    For every target, irrep by irrep,
    this is a ridge regression on the training set. The strength of the ridge is chosen
    on the validation set, or by generalised cross validation if there are no validation
    values. A target whose validation error would increase keeps its weights, and so do
    heads that a fine-tuning must not change.

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
        solvers: Dict[bytes, List[Ridge]] = {}
        all_scales = _scales(x, head.blocks[0].coefficients[0].in_features, symmetry)
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
                    others = _other_rows(validation, symmetry, (i, j), properties)
                    solution = min(
                        (
                            ridge.solve(y[rows][:, properties], others)
                            for ridge in solvers[key]
                        ),
                        key=lambda solution: solution.error,
                    )
                    _set_weights(block, j, properties, solution.weights)
                    solutions.append(solution)
        if len(solutions) > 0:
            strengths = [solution.strength for solution in solutions]
            numbers = [solution.num_parameters for solution in solutions]
            logging.info(
                f"Solved for '{name}', {symmetry}: {len(x)} rows, {x.shape[1]} "
                f"weights, of which {min(numbers):.0f} to {max(numbers):.0f} count, "
                f"with ridges of {min(strengths):.0e} to {max(strengths):.0e}"
            )


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


def _other_rows(
    validation: Rows, symmetry: str, irrep: Tuple[int, int], properties: torch.Tensor
) -> Optional[Tuple[torch.Tensor, torch.Tensor]]:
    """The equations of the validation set; ``None`` without values."""
    if symmetry not in validation.x:
        return None
    y = validation.of_irrep(*irrep)[:, properties]
    known = y.isfinite().all(1)
    return (validation.of_symmetry(symmetry)[known], y[known]) if known.any() else None


@torch.no_grad()
def _set_weights(
    block: Any, irrep: int, properties: torch.Tensor, weights: torch.Tensor
) -> None:
    """Give a block the weights of one irrep.

    :param block: the block.
    :param irrep: number of the irrep.
    :param properties: those that are set.
    :param weights: ``(tensors · features, properties)``, and for scalars those of the
        linear term in additional rows.
    """
    linear, num_tensors = block.coefficients[irrep], block.num_tensors[irrep]
    num_features = linear.in_features
    shape = (num_tensors, block.num_properties, num_features)
    of_tensors = weights[: num_tensors * num_features]
    of_tensors = of_tensors.reshape(num_tensors, num_features, len(properties))
    all_weights = linear.weight.view(shape)
    all_weights[:, properties] = of_tensors.transpose(1, 2).to(all_weights)
    if block.basis_names[irrep] == SCALARS and block.linear is not None:
        num_types, _, num_inputs = block.linear.weight.shape
        number = block.basis_names[:irrep].count(SCALARS)  # among the scalars
        outputs = number * block.num_properties + properties
        terms = weights[num_features:].reshape(num_types, num_inputs, len(properties))
        block.linear.weight[:, outputs] = terms.transpose(1, 2).to(all_weights)
