"""Scales of targets of pairs of atoms, which metatrain's scaler leaves as they are."""

from typing import Any, Dict, List, Tuple

import torch
from metatensor.torch import TensorBlock, TensorMap
from metatomic.torch import System


def _times(tensor: TensorMap, factor: torch.Tensor) -> TensorMap:
    """A tensor map whose values are multiplied with a number."""
    blocks: List[TensorBlock] = []
    for block in tensor.blocks():
        values = block.values * factor.to(block.values)
        blocks.append(
            TensorBlock(values, block.samples, block.components, block.properties)
        )
    return TensorMap(tensor.keys, blocks)


class PairScale(torch.nn.Module):
    """The root mean square of one target over a training set."""

    scale: torch.Tensor
    is_fitted: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.tensor(1.0, dtype=torch.float64))
        self.register_buffer("is_fitted", torch.tensor(False))

    def forward(self, tensor: TensorMap) -> TensorMap:
        """Multiply with the scale."""
        return _times(tensor, self.scale)

    def remove(self, tensor: TensorMap) -> TensorMap:
        """Divide by the scale."""
        return _times(tensor, 1.0 / self.scale)

    @torch.no_grad()
    def fit(self, tensors: List[TensorMap]) -> None:
        """Find the scale.

        :param tensors: the target of all structures; missing values are NaN.
        """
        values = [block.values.flatten() for t in tensors for block in t.blocks()]
        finite = torch.cat(values)
        finite = finite[finite.isfinite()]
        if len(finite) > 0 and bool((finite != 0).any()):
            self.scale.copy_(finite.pow(2).mean().sqrt())
        self.is_fitted.fill_(True)


class PairScales(torch.nn.Module):
    """The scales of all targets of pairs.

    :param names: the targets.
    """

    def __init__(self, names: List[str]) -> None:
        super().__init__()
        self.of_target = torch.nn.ModuleDict({name: PairScale() for name in names})

    def add(self, names: List[str]) -> None:
        """Make room for those of the targets that are new."""
        for name in names:
            if name not in self.of_target:
                self.of_target[name] = PairScale()

    def forward(self, tensors: Dict[str, TensorMap]) -> Dict[str, TensorMap]:
        """Multiply the targets of pairs with their scales; others are left alone."""
        scaled = dict(tensors)
        for name, scale in self.of_target.items():
            if name in scaled:
                scaled[name] = scale(scaled[name])
        return scaled

    @torch.jit.unused
    def remove_transform(
        self, systems: List[System], targets: Dict[str, TensorMap], extra: Any
    ) -> Tuple[List[System], Dict[str, TensorMap], Any]:
        """Divide the targets by their scales, in metatrain's collate function."""
        for name in targets:
            if name in self.of_target:
                scale: Any = self.of_target[name]  # mypy takes its methods for tensors
                targets[name] = scale.remove(targets[name])
        return systems, targets, extra
