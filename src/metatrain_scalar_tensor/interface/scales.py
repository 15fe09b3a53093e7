"""The scales in metatrain's scaler: their floors, and those of forces."""

import itertools
from typing import Any, Dict, List

import metatensor.torch as mts
import torch
from metatensor.torch import TensorMap
from metatrain.scaler import Scaler
from metatrain.utils.data import TargetInfo

from ..normalisation import with_floor
from .sources import Datasets


SCALE_FLOOR = 1e-4  # for sizes of types and properties, relative to the largest
ROUNDING = 1e-10  # size of a residual relative to the target itself


def floor_scales(scaler: Scaler, name: str, largest_value: float) -> bool:
    """Keep scales above rounding errors.

    An atom type or a property whose residual is much smaller than others gets
    ``SCALE_FLOOR`` of the largest scale. If all residuals are rounding errors, because
    the composition explains the target, all scales are 1.

    :param scaler: the scaler, just fitted.
    :param name: name of the target.
    :param largest_value: largest value of the target, with its baseline.
    :return: whether its values leave anything to learn.
    """
    model: Any = scaler.model
    whole, of_type = model.scales[name], model.per_target_scales[name]
    # numbers of values; properties of types that are not in the data have none
    is_multiple = name in model.multi_property_target_names
    numbers = model.per_property_N[name] if is_multiple else model.N[name]
    is_known = [block.values > 0 for block in numbers.blocks()]
    sizes = torch.cat([x.values[k] for x, k in zip(whole.blocks(), is_known)])
    is_left = bool((sizes > ROUNDING * largest_value).any())
    for scales in (whole, of_type):
        _replace(scales, is_known, is_left)
    of_property = mts.divide(whole, of_type)
    model.per_property_scales[name] = of_property
    for kind, scales in (
        ("scaler", whole),
        ("per_target_scaler", of_type),
        ("per_property_scaler", of_property),
    ):
        buffer = mts.save_buffer(mts.make_contiguous(scales.to("cpu", torch.float64)))
        device = scaler.dummy_buffer.device
        scaler.register_buffer(f"{name}_{kind}_buffer", buffer.to(device))
    return is_left


def scales_of_forces(
    targets: Dict[str, TargetInfo], datasets: Datasets
) -> Dict[str, float]:
    """The root mean square of the force components of every target that has forces.

    The energy of an atom varies much less than forces times a typical distance: in
    units of its standard deviation, forces would be large numbers, which weights of
    order one do not reach.

    :param targets: the targets.
    :param datasets: training sets.
    :return: for each target with forces that are not zero.
    """
    with_forces = {n for n, info in targets.items() if "positions" in info.gradients}
    if len(with_forces) == 0:  # no need to read the data
        return {}
    squares: Dict[str, List[torch.Tensor]] = {}
    samples: Any = itertools.chain.from_iterable(datasets)  # type: ignore[arg-type]
    for sample in samples:
        for name in with_forces & set(sample._fields):
            for block in sample[name].blocks():
                if "positions" in block.gradients_list():
                    values = block.gradient("positions").values.double()
                    values = values[values.isfinite()]
                    squares.setdefault(name, []).append(values.square())
    means = {name: torch.cat(parts).mean() for name, parts in squares.items()}
    return {name: float(x.sqrt()) for name, x in means.items() if x > 0}


def _replace(scales: TensorMap, is_known: list[torch.Tensor], is_left: bool) -> None:
    """Change scales in place. Types without data get the mean of the others."""
    values = [block.values for block in scales.blocks()]
    known = torch.cat([x[k] for x, k in zip(values, is_known)])
    known = with_floor(known, SCALE_FLOOR) if is_left else torch.ones_like(known)
    counts = [int(k.sum()) for k in is_known]
    for x, k, changed in zip(values, is_known, known.split(counts)):
        x[k] = changed
        if is_left:
            mean = (x * k).sum(0) / k.sum(0)  # NaN for properties without data
            x[:] = torch.where(k, x, mean.nan_to_num(nan=1.0))
