"""Constant matrices that act on the components of tensors, and how to make them."""

from functools import wraps
from typing import Any, Callable, TypeVar, cast

import torch


Function = TypeVar("Function", bound=Callable[..., Any])


def on_cpu(function: Function) -> Function:
    """Decorator that computes constants on the CPU, even under the meta device."""

    @wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with torch.device("cpu"):
            return function(*args, **kwargs)

    return cast(Function, wrapper)


def on_components(matrix: torch.Tensor, tensors: torch.Tensor) -> torch.Tensor:
    """Multiply the components of tensors with a matrix.

    This avoids the transposition in memory that ``@`` would need.

    :param matrix: ``(new components, components)``
    :param tensors: ``(atoms, components, channels)``
    :return: ``(atoms, new components, channels)``
    """
    return torch.bmm(matrix.expand(tensors.shape[0], -1, -1), tensors)


def on_first_components(matrix: torch.Tensor, tensors: torch.Tensor) -> torch.Tensor:
    """Multiply the components of tensors with a matrix, if they come first.

    :param matrix: ``(new components, components)``
    :param tensors: ``(components, atoms, channels)``
    :return: ``(new components, atoms, channels)``
    """
    return (matrix @ tensors.flatten(1)).unflatten(1, tensors.shape[1:])


def ranks_of_components(max_rank: int) -> torch.Tensor:
    """The rank of every component of tensors up to a rank: 0, 1, 1, 1, 2, ..."""
    ranks = [l for l in range(max_rank + 1) for _ in range(2 * l + 1)]
    return torch.tensor(ranks)
