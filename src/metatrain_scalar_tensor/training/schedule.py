"""The learning rate schedule."""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def warmup_cosine(
    optimizer: Optimizer, num_steps: int, warmup_fraction: float
) -> LambdaLR:
    """Linear warm-up, then half a cosine down to zero.

    Loshchilov and Hutter, `arXiv:1608.03983 <https://arxiv.org/abs/1608.03983>`_,
    eq. 5, without restarts.

    :param optimizer: optimizer, set to the largest learning rate.
    :param num_steps: number of steps of the whole training.
    :param warmup_fraction: fraction of the steps in which the rate rises.
    :return: the scheduler, to be stepped after every optimizer step.
    """
    num_warmup = int(warmup_fraction * num_steps)

    def factor(step: int) -> float:
        if step < num_warmup:
            return (step + 1) / (num_warmup + 1)
        progress = (step - num_warmup) / max(1, num_steps - num_warmup)
        return 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))

    return LambdaLR(optimizer, factor)
