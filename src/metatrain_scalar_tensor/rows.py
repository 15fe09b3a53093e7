"""How many rows of a tensor to work on at a time."""

import torch


def rows_at_a_time(values: torch.Tensor, in_cache: int) -> int:
    """A number of rows for ``torch.split``.

    On a CPU, intermediate results of a few rows stay in its cache; a GPU is the faster
    the more it has to do at a time.

    :param values: the rows.
    :param in_cache: number of rows whose intermediate results fit into the cache.
    """
    return in_cache if values.device.type == "cpu" else max(len(values), 1)
