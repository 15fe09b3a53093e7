"""Scales and shifts that depend only on the atom type, as tables in float64."""

from typing import List

import torch
from metatensor.torch import TensorBlock, TensorMap


def split(numbers: torch.Tensor) -> torch.Tensor:
    """Split numbers into sums of two that conversion to float32 does not change.

    Total energies need more digits than float32 has, whatever the dtype of the model.

    :param numbers: ``(...)``
    :return: leading and trailing digits, ``(2, ...)``, together 48 bits.
    """
    numbers = numbers.double()
    leading = numbers.float().double()
    return torch.stack([leading, (numbers - leading).float().double()])


class BlockTable(torch.nn.Module):
    r"""One block of a target: :math:`y_i = s_{q_i} \hat y_i + w_{q_i}`.

    :param block: layout of the block.
    :param num_types: number of atom types.
    """

    scale: torch.Tensor  # (2, types, properties), see :func:`split`
    shift: torch.Tensor  # (2, types, *components, properties)

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

    def forward(
        self, values: torch.Tensor, center_type: torch.Tensor, with_shift: bool
    ) -> torch.Tensor:
        """Scale and shift values, in float64.

        :param values: ``(atoms, *components, properties)``
        :param center_type: index of the type of each atom, ``(atoms,)``
        :param with_shift: whether to shift; not for differences of predictions.
        """
        scale = self.scale.to(torch.float64).sum(0).index_select(0, center_type)
        while scale.dim() < values.dim():
            scale = scale.unsqueeze(1)
        values = values.to(torch.float64) * scale
        if with_shift and self.has_shift:
            shift = self.shift.to(torch.float64).sum(0)
            values = values + shift.index_select(0, center_type)
        return values


class TargetTable(torch.nn.Module):
    """All blocks of a target.

    :param layout: layout of the target, in dense form for atomic-basis targets.
    :param num_types: number of atom types.
    """

    def __init__(self, layout: TensorMap, num_types: int) -> None:
        super().__init__()
        self.blocks = torch.nn.ModuleList(
            BlockTable(block, num_types) for block in layout.blocks()
        )

    def forward(
        self, prediction: TensorMap, center_type: torch.Tensor, with_shift: bool
    ) -> TensorMap:
        """Scale and shift a target, in float64.

        :param prediction: prediction of the network, with atoms as samples.
        :param center_type: index of the type of each atom, ``(atoms,)``
        :param with_shift: as in :class:`BlockTable`.
        """
        blocks: List[TensorBlock] = []
        for i, table in enumerate(self.blocks):
            block = prediction.block(i)
            blocks.append(
                TensorBlock(
                    table(block.values, center_type, with_shift),
                    block.samples,
                    block.components,
                    block.properties,
                )
            )
        return TensorMap(prediction.keys, blocks)
