"""How often the data are passed through to set up all equations."""

import logging
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple

from ..epoch import EpochRunner
from ..fit import Fit
from ..loaders import AllBatches
from .equations import Collector
from .rows import Rows


NUMBERS_IN_GIB = 2**27  # in float64


Equations = Dict[str, List[Rows]]
"""Of every target, one set for every kind of centers with coefficients of its own"""


class Pass(NamedTuple):
    """What is set up in one pass through the data."""

    symmetries: Dict[str, List[str]]
    """Those of every target"""
    max_numbers: int
    """In the left sides of a target, for each kind of centers"""


class Part(NamedTuple):
    """Equations that are in memory at the same time."""

    training: Equations
    validation: Equations
    values: Equations
    """Those of the validation set for values, without gradients"""


def parts_of(
    fit: Fit, heads: Mapping[str, Any], with_values: bool = False
) -> Iterator[Part]:
    """The equations of some targets, in as few parts as there is memory for.

    :param fit: the training, which has the batches.
    :param heads: the heads of the targets.
    :param with_values: whether those of values alone are wanted, too.
    :return: the parts, each of which should be deleted before the next.
    """
    passes = _plan(fit, heads)
    if len(passes) > 1:
        logging.info(
            f"The equations are set up in {len(passes)} passes: 'solve_memory'"
        )
    for one in passes:
        yield _part(fit, heads, one, with_values)  # no names that keep it in memory


def _part(fit: Fit, heads: Mapping[str, Any], one: Pass, with_values: bool) -> Part:
    training, validation = [
        _collect(fit.runner, data, heads, one) for data in fit.loaders.for_solve()
    ]
    values = validation
    if with_values and fit.runner.has_gradients:
        _, data = fit.loaders.for_solve()
        values = _collect(fit.runner, data, heads, one, with_gradients=False)
    return Part(training, validation, values)


def _collect(
    runner: EpochRunner,
    data: AllBatches,
    heads: Mapping[str, Any],
    one: Pass,
    with_gradients: bool = True,
) -> Equations:
    wanted = {name: heads[name] for name in one.symmetries}
    number = _num_components(runner, data) if with_gradients else 0
    collector = Collector(runner, wanted, one.symmetries, one.max_numbers, number)
    for batch in data.batches:
        collector.add(batch)
    return collector.rows


def _num_components(runner: EpochRunner, data: AllBatches) -> int:
    """How many components of the gradients of a structure have equations.

    With the value, that makes about ``max_equations`` of all structures.
    """
    return max(1, runner.hypers["max_equations"] // max(data.num_structures, 1) - 1)


def _plan(fit: Fit, heads: Mapping[str, Any]) -> List[Pass]:
    """Divide the equations into passes, by the sizes of the first batches.

    Of a symmetry that is too large for a pass of its own, samples are left out.
    """
    memory = int(fit.hypers["solve_memory"] * NUMBERS_IN_GIB)
    passes: List[Pass] = []
    free = 0.0
    for name, sizes in _sizes(fit, heads).items():
        for symmetry, size in sizes.items():
            if size > memory:
                gib = size / NUMBERS_IN_GIB
                logging.info(
                    f"The equations of '{name}', {symmetry}, take {gib:.1f} GiB, more "
                    "than 'solve_memory': some samples are left out"
                )
                num_kinds = heads[name].coefficients.num_kinds
                passes.append(Pass({name: [symmetry]}, memory // num_kinds))
                free = 0.0
                continue
            if size > free:
                passes.append(Pass({}, memory))
                free = float(memory)
            passes[-1].symmetries.setdefault(name, []).append(symmetry)
            free -= size
    return passes


def _sizes(fit: Fit, heads: Mapping[str, Any]) -> Dict[str, Dict[str, float]]:
    """How many numbers the left sides of every target and symmetry have."""
    data, _ = fit.loaders.for_solve()
    # gradients have as many columns as values, and take long
    collector = Collector(fit.runner, heads, None, NUMBERS_IN_GIB, num_components=0)
    infos = fit.runner.module.dataset_info.targets
    seen = 0
    for batch in data.batches:
        collector.add(batch)
        seen += len(batch.systems)
        if all(any(rows.x for rows in collector.rows[name]) for name in heads):
            break
    sizes: Dict[str, Dict[str, float]] = {}
    for name, of_kinds in collector.rows.items():
        sizes[name] = {}
        factor = data.num_structures / seen
        if len(infos[name].gradients) > 0:
            factor *= 1 + _num_components(fit.runner, data)
        for rows in of_kinds:
            for symmetry, parts in rows.x.items():
                number = sum(part.numel() for part in parts)
                before = sizes[name].get(symmetry, 0.0)
                sizes[name][symmetry] = before + factor * number
    return sizes
