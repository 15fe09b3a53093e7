"""Constant matrices that act on the components of tensors."""

import torch


def on_components(matrix: torch.Tensor, tensors: torch.Tensor) -> torch.Tensor:
    """Multiply the components of tensors with a matrix.

    With ``@``, the tensors would be transposed in memory.

    :param matrix: ``(new components, components)``
    :param tensors: ``(atoms, components, channels)``
    :return: ``(atoms, new components, channels)``
    """
    return torch.bmm(matrix.expand(tensors.shape[0], -1, -1), tensors)
