"""Scales of targets of pairs of atoms, which metatrain's scaler does not support."""

from typing import Any, Dict, List, Optional, Tuple

import metatensor.torch as mts
import torch
from metatensor.torch import TensorBlock, TensorMap
from metatomic.torch import System

from ..normalisation import with_floor
from ..readout.exchange import ExchangeSymmetry
from .scales import SCALE_FLOOR


def _root_mean_square(values: torch.Tensor) -> torch.Tensor:
    """Root mean square over the first axis, without missing values."""
    is_finite = values.isfinite()
    number = is_finite.sum(0).clamp(min=1)
    return torch.where(is_finite, values, 0.0).pow(2).sum(0).div(number).sqrt()


class PairScale(torch.nn.Module):
    """Scales of one target of pairs, like those of metatrain's scaler for atoms.

    The network predicts values of unit size. For the loss, they are multiplied by the
    relative size of each property (such as matrix elements between two kinds of
    orbitals), for predictions also by the size of the whole target.

    :param layout: layout of the target, in dense form for atomic-basis targets.
    """

    scale: torch.Tensor  # size of the whole target
    of_properties: torch.Tensor  # (properties of all blocks,), relative to the scale
    is_fitted: torch.Tensor

    def __init__(self, layout: TensorMap) -> None:
        super().__init__()
        self.counts = [len(block.properties) for block in layout.blocks()]
        self.register_buffer("scale", torch.tensor(1.0, dtype=torch.float64))
        self.register_buffer("of_properties", torch.ones(sum(self.counts)).double())
        self.register_buffer("is_fitted", torch.tensor(False))

    def forward(self, tensor: TensorMap, with_scale: bool) -> TensorMap:
        """Scale the output of the network, for predictions also by the whole target."""
        factors = self.of_properties * self.scale if with_scale else self.of_properties
        blocks: List[TensorBlock] = []
        for i, factor in enumerate(factors.split(self.counts)):
            block = tensor.block(i)
            values = block.values * factor.to(block.values)
            blocks.append(
                TensorBlock(values, block.samples, block.components, block.properties)
            )
        return TensorMap(tensor.keys, blocks)

    @torch.no_grad()
    def fit(
        self, tensors: List[TensorMap], exchange: Optional[ExchangeSymmetry]
    ) -> None:
        """Compute the sizes.

        :param tensors: the target of all structures; missing values are NaN.
        :param exchange: symmetry of the target, if any, which its sizes then share.
        """
        sizes, everything = [], []
        for i in range(len(self.counts)):
            blocks = [tensor.block(i).values for tensor in tensors]
            values = torch.cat([block.flatten(0, -2) for block in blocks])
            sizes.append(_root_mean_square(values))
            everything.append(values.flatten())
        if exchange is not None:
            sizes = exchange.of_sizes(sizes)
        self.scale.copy_(with_floor(_root_mean_square(torch.cat(everything))))
        floored = with_floor(torch.cat(sizes), SCALE_FLOOR)
        self.of_properties.copy_(floored / self.scale)


class PairScales(torch.nn.Module):
    """The scales of all targets of pairs.

    :param layouts: layouts of the targets, as in :class:`PairScale`.
    """

    def __init__(self, layouts: Dict[str, TensorMap]) -> None:
        super().__init__()
        self.of_target = torch.nn.ModuleDict()
        self.add(layouts)

    @torch.jit.unused
    def add(self, layouts: Dict[str, TensorMap]) -> None:
        """Add scales for new targets."""
        for name, layout in layouts.items():
            if name not in self.of_target:
                self.of_target[name] = PairScale(layout)

    def forward(
        self, tensors: Dict[str, TensorMap], with_scale: bool
    ) -> Dict[str, TensorMap]:
        """Apply :meth:`PairScale.forward` to targets of pairs, and keep all others."""
        scaled = dict(tensors)
        for name, scale in self.of_target.items():
            if name in scaled:
                scaled[name] = scale(scaled[name], with_scale)
        return scaled

    @torch.jit.unused
    def in_units(self, tensors: Dict[str, TensorMap]) -> Dict[str, TensorMap]:
        """Convert from the scale of the loss to the units of the targets."""
        scaled = dict(tensors)
        for name in set(self.of_target) & set(tensors):
            scaled[name] = mts.multiply(tensors[name], self._scale(name))
        return scaled

    @torch.jit.unused
    def remove_transform(
        self, systems: List[System], targets: Dict[str, TensorMap], extra: Any
    ) -> Tuple[List[System], Dict[str, TensorMap], Any]:
        """The inverse of :meth:`in_units`, as part of metatrain's collate function."""
        for name in set(self.of_target) & set(targets):
            targets[name] = mts.multiply(targets[name], 1.0 / self._scale(name))
        return systems, targets, extra

    @torch.jit.unused
    def _scale(self, name: str) -> float:
        """The size of a target."""
        scale: Any = self.of_target[name].scale
        return float(scale)
