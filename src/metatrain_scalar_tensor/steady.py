"""metatrain's baselines, without assignments in every evaluation.

``BaseCompositionModel`` and ``BaseScaler`` move their TensorMaps to the device and the
dtype of the structures before they use them, and assign all of them anew even where
nothing moves. Threads that evaluate one model then free what others are reading, and
the process crashes.
"""

from types import FunctionType
from typing import Callable

import torch
from metatrain.composition import CompositionModel
from metatrain.composition._base_composition import BaseCompositionModel
from metatrain.scaler import Scaler
from metatrain.scaler._base_scaler import BaseScaler


def _as_move(method: Callable[..., None]) -> Callable[..., None]:
    """A method under the name ``_move``: TorchScript goes by this, and has no super."""
    assert isinstance(method, FunctionType)
    move = FunctionType(method.__code__, method.__globals__, "_move")
    move.__annotations__ = method.__annotations__
    return move


class SteadyComposition(BaseCompositionModel):
    """Weights of types that are assigned only when they move."""

    _move = _as_move(BaseCompositionModel._sync_device_dtype)

    def _sync_device_dtype(self, device: torch.device, dtype: torch.dtype) -> None:
        # all TensorMaps move together, and these only here
        for tensor in self.XTX.values():
            if tensor.device != device or tensor.dtype != dtype:
                self._move(device, dtype)
                return


class SteadyScaler(BaseScaler):
    """Scales that are assigned only when they move."""

    _move = _as_move(BaseScaler._sync_device_dtype)

    def _sync_device_dtype(self, device: torch.device, dtype: torch.dtype) -> None:
        for tensor in self.N.values():
            if tensor.device != device or tensor.dtype != dtype:
                self._move(device, dtype)
                return


def make_steady(module: torch.nn.Module) -> None:
    """Let threads evaluate a module together, once it was evaluated.

    The first evaluation on another device or in another dtype still moves.

    :param module: any, of which the composition models and scalers are changed.
    """
    for part in module.modules():
        if isinstance(part, CompositionModel):
            part.model.__class__ = SteadyComposition
        elif isinstance(part, Scaler):
            part.model.__class__ = SteadyScaler
