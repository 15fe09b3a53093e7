"""How often the data are passed through to set up all equations, and what is kept."""

import logging
import math
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Tuple

import torch

from ..fit import Fit
from ..loaders import AllBatches
from .collect import Collector, EquationsOfKinds
from .equations import Equations
from .factors import shape_of_sums
from .rows import Rows
from .sums import Sums


NUMBERS_IN_GIB = 2**27  # in float64


OfKind = Tuple[str, int]  # a target and a kind of its centers


class Pass(NamedTuple):
    """What is set up in one pass through the data."""

    added_up: Dict[OfKind, List[str]]
    """The symmetries of every target and kind whose equations are added up"""
    kept: Dict[OfKind, List[str]]
    """Those whose rows are kept"""
    max_numbers: int
    """In the left sides of the rows of a target and kind"""


class Part(NamedTuple):
    """Equations that are in memory at the same time."""

    training: Dict[str, EquationsOfKinds]
    """Those of every target"""
    validation: Dict[str, List[Rows]]
    """Those of every target and kind of centers"""
    values: Dict[str, List[Rows]]
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
    """Set up what belongs to a pass."""
    max_equations, world_size = fit.hypers["max_equations"], fit.processes.world_size
    kinds = {
        name: [(name, kind) for kind in range(heads[name].coefficients.num_kinds)]
        for name in heads
        if any(name == other for other, _ in [*one.added_up, *one.kept])
    }

    def rows(symmetries: List[str]) -> Rows:
        return Rows(symmetries, one.max_numbers // world_size, max_equations)

    def rows_of_all() -> Dict[str, List[Rows]]:
        return {
            name: [rows(one.added_up.get(k, []) + one.kept.get(k, [])) for k in of_name]
            for name, of_name in kinds.items()
        }

    training: Dict[str, EquationsOfKinds] = {}
    for name, of_target in kinds.items():
        training[name] = []
        for kind in of_target:
            parts: List[Equations] = []
            if kind in one.added_up:
                num_random = max_equations // world_size
                parts.append(Sums(one.added_up[kind], max_equations, num_random))
            if kind in one.kept:
                parts.append(rows(one.kept[kind]))
            training[name].append(parts)
    validation = values = rows_of_all()
    for data, equations in zip(
        fit.loaders.for_solve(), (training, _listed(validation)), strict=True
    ):
        _collect(fit, data, heads, equations)
    if with_values and fit.runner.has_gradients:
        values = rows_of_all()
        _, data = fit.loaders.for_solve()
        _collect(fit, data, heads, _listed(values), with_gradients=False)
    return Part(training, validation, values)


def _listed(rows: Dict[str, List[Rows]]) -> Dict[str, EquationsOfKinds]:
    return {
        name: [[of_kind] if of_kind.symmetries else [] for of_kind in kinds]
        for name, kinds in rows.items()
    }


def _collect(
    fit: Fit,
    data: AllBatches,
    heads: Mapping[str, Any],
    equations: Dict[str, EquationsOfKinds],
    with_gradients: bool = True,
) -> None:
    """Set up equations, each process those of its batches, and join them."""
    number = _num_components(fit, data) if with_gradients else 0
    collector = Collector(fit.runner, heads, equations, number)
    for batch in data.batches:
        collector.add(batch)
    for name in sorted(equations):
        for of_kind in equations[name]:
            for part in of_kind:
                part.join(fit.processes)


def _num_components(fit: Fit, data: AllBatches) -> int:
    """How many components of the gradients of a structure have equations.

    With the value, that makes about ``max_equations`` of all structures.
    """
    return max(1, fit.hypers["max_equations"] // max(data.num_structures, 1) - 1)


class _Size(NamedTuple):
    """The left sides of a target and kind for one symmetry, as estimated."""

    rows: float
    """Numbers in all rows"""
    sums: float
    """Numbers in the sums, and in the random rows that are kept besides"""
    unpacked: float
    """Numbers in the matrices of the normal equations"""
    others: float
    """Numbers in the rows of the validation set"""


def _plan(fit: Fit, heads: Mapping[str, Any]) -> List[Pass]:
    """Divide the equations into passes, by the sizes of the first batches.

    They are added up where rows outnumber columns, and kept where they do not. Of those
    that are too large for a pass of their own, samples are left out.
    """
    memory = int(fit.hypers["solve_memory"] * NUMBERS_IN_GIB)
    passes: List[Pass] = []
    free = 0.0
    for of_kind, sizes in _sizes(fit, heads).items():
        for symmetry, size in sizes.items():
            is_added_up = max(size.unpacked, size.sums) <= min(size.rows, memory)
            numbers = size.sums if is_added_up else size.rows
            if numbers > memory:
                logging.info(
                    f"The equations of '{of_kind[0]}', {symmetry}, take "
                    f"{numbers / NUMBERS_IN_GIB:.1f} GiB, more than 'solve_memory': "
                    "some samples are left out"
                )
            if numbers + size.others > free:
                passes.append(Pass({}, {}, memory))
                free = float(memory)
            way = passes[-1].added_up if is_added_up else passes[-1].kept
            way.setdefault(of_kind, []).append(symmetry)
            free -= numbers + size.others
    return passes


def _sizes(fit: Fit, heads: Mapping[str, Any]) -> Dict[OfKind, Dict[str, _Size]]:
    """The sizes for every target, kind and symmetry, from the first batches.

    The same in all processes.
    """
    data, others = fit.loaders.for_solve(is_shared=False)
    first = {
        name: [
            Rows(head.basis_names, NUMBERS_IN_GIB, fit.hypers["max_equations"])
            for _ in range(head.coefficients.num_kinds)
        ]
        for name, head in heads.items()
    }
    # gradients have as many columns as values, and take long
    collector = Collector(fit.runner, heads, _listed(first), num_components=0)
    seen = 0
    for batch in data.batches:
        collector.add(batch)
        seen += len(batch.systems)
        if all(any(rows.x for rows in of_kinds) for of_kinds in first.values()):
            break
    infos = fit.runner.module.dataset_info.targets
    sizes: Dict[OfKind, Dict[str, _Size]] = {}
    for name, of_kinds in first.items():
        has_gradients = len(infos[name].gradients) > 0
        times = [
            one.num_structures
            * (1 + _num_components(fit, one) if has_gradients else 1)
            / max(seen, 1)
            for one in (data, others)
        ]
        for symmetry in heads[name].basis_names:
            with_data = [rows for rows in of_kinds if symmetry in rows.x]
            if len(with_data) == 0:
                continue
            # kinds that are rare, if they exist at all: as if one sample had been seen
            of_one = with_data[0].x[symmetry][0][0].numel()
            one = _Size(of_one, sums=math.inf, unpacked=math.inf, others=of_one)
            for kind, rows in enumerate(of_kinds):
                is_rare = symmetry not in rows.x
                size = one if is_rare else _size(rows, symmetry, *times)
                sizes.setdefault((name, kind), {})[symmetry] = size
    return sizes


def _size(rows: Rows, symmetry: str, factor: float, of_others: float) -> _Size:
    """The size for one symmetry.

    :param rows: some of the rows.
    :param symmetry: the symmetry.
    :param factor: how many times as many the training set has.
    :param of_others: likewise the validation set.
    """
    num_rows, num_columns = rows.left(symmetry).shape
    known = [rows.right(symmetry, irrep).isfinite() for irrep in rows.y[symmetry]]
    num_sets = len(torch.unique(torch.cat(known, dim=1), dim=0))
    num_random = rows.max_equations if num_columns > rows.max_equations else 0
    of_a_set = math.prod(shape_of_sums(rows.shapes[symmetry]))
    return _Size(
        rows=factor * num_rows * num_columns,
        sums=float(num_sets * of_a_set + num_random * num_columns),
        unpacked=float(num_sets * num_columns**2),
        others=of_others * num_rows * num_columns,
    )
