r"""Spreads of ensembles whose target is symmetric under exchange.

A block and its transposed one have members that were drawn and calibrated one by one.
Their average, the symmetric target, has a smaller variance, but not smaller errors
where the data are symmetric.
"""

import math
from typing import Any, List, NamedTuple

import torch

from ...readout import center_of
from ..cache import Batch
from ..epoch import EpochRunner
from ..fit import Fit
from .collect import targets_of_network, watching
from .weights import Place, scale_members


# samples whose variance is smaller, relative to the mean, vanish by symmetry
VANISHING_VARIANCE = 1e-10


class _Ratios(NamedTuple):
    """Sums over samples, for every block ``(kinds, properties)``."""

    ratios: List[torch.Tensor]
    """Squared errors over predicted variances"""
    counts: List[torch.Tensor]

    def __add__(self, other: Any) -> "_Ratios":
        return _Ratios(
            *([x + y for x, y in zip(*both)] for both in zip(self, other, strict=True))
        )


@torch.no_grad()
def calibrate_exchanged(fit: Fit, name: str, head: Any) -> None:
    r"""Give the symmetric target's errors and variances the same size.

    With one factor for a block and its transposed one, for every property and kind of
    centers:

    .. math::
        s^2 = \left\langle \epsilon^2 / \sigma^2 \right\rangle

    over the validation set. Without values there, members spread as before they were
    averaged, over the training set.

    :param fit: the training, which has the batches.
    :param name: name of the target, which is symmetric.
    :param head: its head, whose members are changed.
    """
    training, validation = fit.loaders.for_solve()
    total = _sums(fit, name, head, validation.batches, are_errors=True)
    if not any(count.any() for count in total.counts):
        total = _sums(fit, name, head, training.batches, are_errors=False)
    symmetric = total + _exchanged(fit.runner, name, head, total)
    for i, (ratios, counts) in enumerate(zip(*symmetric, strict=True)):
        factors = torch.where(counts > 0, (ratios / counts).sqrt(), 1.0)
        for kind, of_kind in enumerate(factors):
            for j in range(len(head.blocks[i].num_components)):
                scale_members(Place(head, i, j, kind), of_kind)


def _sums(fit: Fit, name: str, head: Any, batches: Any, are_errors: bool) -> _Ratios:
    """The sums over all batches, of all processes."""
    sizes = [(head.coefficients.num_kinds, b.num_properties) for b in head.blocks]
    total = _Ratios(*([torch.zeros(s).double() for s in sizes] for _ in range(2)))
    for batch in batches:
        if name in batch.targets:
            total += _of_batch(fit.runner, name, head, batch, are_errors)
    of_all = fit.processes.gather(total)
    for other in of_all[1:]:
        of_all[0] += other
    return of_all[0]


def _of_batch(
    runner: EpochRunner, name: str, head: Any, batch: Batch, are_errors: bool
) -> _Ratios:
    """The sums over a batch.

    :param are_errors: whether the ratios are those of errors; otherwise those of the
        variances before the exchange.
    """
    center = center_of(runner.targets_info[name])
    readout: Any = runner.module.model.readouts[center]
    with watching({center: readout}) as seen:
        with torch.set_grad_enabled(runner.has_gradients):  # of other targets
            predictions = runner.predict(batch, is_training=False)
    centers, density, opposite = seen[center]
    # the blocks of the prediction and of every member, before they are symmetric
    head.exchange, exchange = None, head.exchange
    draws = head(centers, readout.bases(density, head.basis_names), opposite, True)
    head.exchange = exchange
    symmetric = [exchange(values, opposite) for values in draws]
    target = batch.targets[name]
    if target.block(0).samples.names == ["system"]:
        num_atoms = [len(system) for system in batch.systems]
        draws, symmetric = (_summed(x, num_atoms) for x in (draws, symmetric))
        kinds = torch.zeros(len(num_atoms), dtype=torch.int64)
    else:
        kinds = centers.types.cpu()
    factors = runner.factors_of_loss(batch, {name: predictions[name]})[name]
    references = targets_of_network(head, target, factors, opposite)
    result = _Ratios([], [])
    for i, reference in enumerate(references):
        variance = _variance([values[i] for values in symmetric[1:]])
        errors = (symmetric[0][i].double() - reference).square()
        if not are_errors:
            errors = _variance([values[i] for values in draws[1:]]).unsqueeze(1)
        ratios = (errors.flatten(1, -2).mean(1) / variance).cpu()  # (samples, props)
        # members are NaN for kinds without data
        is_used = (variance > VANISHING_VARIANCE * variance.nanmean()).cpu()
        is_used &= ratios.isfinite()
        ratios = torch.where(is_used, ratios, 0.0)
        shape = (head.coefficients.num_kinds, ratios.shape[1])
        if shape[0] == 1:
            kinds = torch.zeros_like(kinds)
        for sums, values in zip(result, (ratios, is_used.double()), strict=True):
            sums.append(torch.zeros(shape).double().index_add(0, kinds, values))
    return result


def _variance(differences: List[torch.Tensor]) -> torch.Tensor:
    """Of the members, the mean over the components, ``(samples, properties)``."""
    squares = sum(x.double().square() for x in differences)
    variance: Any = squares / (len(differences) - 1)
    return variance.flatten(1, -2).mean(1)


def _summed(
    draws: List[List[torch.Tensor]], num_atoms: List[int]
) -> List[List[torch.Tensor]]:
    """Sums over the atoms of structures."""
    return [
        [torch.stack([part.sum(0) for part in x.split(num_atoms)]) for x in values]
        for values in draws
    ]


def _exchanged(runner: EpochRunner, name: str, head: Any, of_all: _Ratios) -> _Ratios:
    """The sums of the transposed blocks, of the opposite kinds, in their places."""
    kinds = torch.arange(head.coefficients.num_kinds)
    if center_of(runner.targets_info[name]) == "atom_pair":  # ordered pairs of types
        num_types = math.isqrt(len(kinds))
        kinds = kinds.reshape(num_types, num_types).T.flatten()
    exchange = head.exchange
    return _Ratios(
        *(
            [
                sums[exchange.partner[i]][kinds][:, properties.place.cpu()]
                for i, properties in enumerate(exchange.properties)
            ]
            for sums in of_all
        )
    )
