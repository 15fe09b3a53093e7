"""Scales and shifts that depend on the type of an atom alone, as tables in float64."""

from typing import List

import torch
from metatensor.torch import TensorBlock, TensorMap


def split(numbers: torch.Tensor) -> torch.Tensor:
    """Numbers as sums of two that float32 holds, and ``to`` leaves as they are.

    Total energies need more digits than float32 has, whatever the model computes in.

    :param numbers: ``(...)``
    :return: leading and trailing digits, ``(2, ...)``, together 48 bits of them.
    """
    numbers = numbers.double()
    leading = numbers.float().double()
    return torch.stack([leading, (numbers - leading).float().double()])


class BlockTable(torch.nn.Module):
    r"""One block of a target: :math:`y_i = s_{q_i} \hat y_i + w_{q_i}`.

    :param block: layout of the block.
    :param num_types: number of types of atoms.
    """

    scale: torch.Tensor  # (2, types, properties), see :func:`split`
    shift: torch.Tensor  # (2, types, *components, properties), likewise

    def __init__(self, block: TensorBlock, num_types: int) -> None:
        super().__init__()
        shape = (num_types, *block.values.shape[1:])
        self.register_buffer("scale", torch.empty(0), persistent=False)
        self.register_buffer("shift", torch.empty(0), persistent=False)
        self.fill(torch.ones(num_types, shape[-1]), torch.zeros(shape))

    @torch.jit.unused
    def fill(self, scale: torch.Tensor, shift: torch.Tensor) -> None:
        """Set the numbers.

        :param scale: ``(types, properties)``
        :param shift: ``(types, *components, properties)``
        """
        self.has_shift = bool((shift != 0).any())
        self.scale, self.shift = split(scale), split(shift)

    def forward(self, values: torch.Tensor, center_type: torch.Tensor) -> torch.Tensor:
        """Scale and shift.

        :param values: ``(atoms, *components, properties)``
        :param center_type: index of the type of every atom, ``(atoms,)``
        :return: likewise, in float64.
        """
        scale = self.scale.to(torch.float64).sum(0).index_select(0, center_type)
        while scale.dim() < values.dim():
            scale = scale.unsqueeze(1)
        values = values.to(torch.float64) * scale
        if self.has_shift:
            shift = self.shift.to(torch.float64).sum(0)
            values = values + shift.index_select(0, center_type)
        return values


class TargetTable(torch.nn.Module):
    """All blocks of a target.

    :param layout: layout of the target, atomic-basis ones in their dense form.
    :param num_types: number of types of atoms.
    """

    def __init__(self, layout: TensorMap, num_types: int) -> None:
        super().__init__()
        self.blocks = torch.nn.ModuleList(
            BlockTable(block, num_types) for block in layout.blocks()
        )

    def forward(self, prediction: TensorMap, center_type: torch.Tensor) -> TensorMap:
        """Scale and shift a target, with atoms as samples: it is in float64 then.

        :param prediction: what the network gives.
        :param center_type: index of the type of every atom, ``(atoms,)``
        """
        blocks: List[TensorBlock] = []
        for i, table in enumerate(self.blocks):
            block = prediction.block(i)
            blocks.append(
                TensorBlock(
                    table(block.values, center_type),
                    block.samples,
                    block.components,
                    block.properties,
                )
            )
        return TensorMap(prediction.keys, blocks)
