"""What the machine could do at best: counted work over measured ceilings."""

import time
from typing import Any, Callable, Tuple

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode


class Traffic(TorchDispatchMode):
    """Counts the bytes that operations read and write; views are free."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # noqa: ANN001, ANN201
        result = func(*args, **(kwargs or {}))
        inputs = [x for x in torch.utils._pytree.tree_leaves(args) if _is_tensor(x)]
        outputs = [x for x in torch.utils._pytree.tree_leaves(result) if _is_tensor(x)]
        storages = {x.untyped_storage().data_ptr() for x in inputs}
        if all(x.untyped_storage().data_ptr() in storages for x in outputs):
            if not func._schema.is_mutable:
                return result  # a view
        self.bytes += sum(x.numel() * x.element_size() for x in inputs + outputs)
        return result


def _is_tensor(x: Any) -> bool:
    return isinstance(x, torch.Tensor)


def _best(function: Callable, repetitions: int = 7) -> float:
    times = []
    for _ in range(repetitions):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def ceilings() -> Tuple[float, float]:
    """Bytes and floating-point operations per second, in float32."""
    source, target = torch.rand(2**25), torch.rand(2**25)
    seconds = _best(lambda: target.copy_(source))
    bandwidth = 2 * source.numel() * source.element_size() / seconds
    a, b = torch.rand(2048, 2048), torch.rand(2048, 2048)
    return bandwidth, 2 * 2048**3 / _best(lambda: a @ b)


def work(step: Callable) -> Tuple[float, float]:
    """Bytes moved by all operations of a step, and flops of its matrix products."""
    with Traffic() as traffic:
        step()
    with FlopCounterMode(display=False) as flops:
        step()
    return float(traffic.bytes), float(flops.get_total_flops())
