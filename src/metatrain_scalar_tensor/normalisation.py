"""Sizes of quantities in the data, safe to divide by where symmetry makes them zero."""

from typing import Any, Callable, Dict, Iterable, List, Sequence

import torch
from torch.nn.functional import layer_norm

from .structures import Structures


SMALLEST_VARIANCE = 1e-5  # PyTorch's default
VARIANCE_FLOOR = 0.03  # relative to the mean variance of the scalars of an atom

RELATIVE_FLOOR = 3e-2  # for root mean squares; docs/theory.md has the reasons


def with_floor(sizes: torch.Tensor, floor: float = RELATIVE_FLOOR) -> torch.Tensor:
    """Raise small sizes to a floor, to make them safe to divide by.

    Symmetry makes some quantities zero up to rounding, such as odd ``l`` in a perfect
    crystal. Divided by their own size, they would become noise of order one.

    :param sizes: root mean squares of quantities of one kind, not negative.
    :param floor: smallest allowed size, relative to the largest one.
    :return: the sizes, in the same shape; ones if all sizes are zero.
    """
    largest = sizes.max()
    return torch.where(largest > 0, sizes.clamp(min=floor * largest), 1.0)


def root_mean_squares(
    batches: Iterable[Structures],
    quantities: Callable[[Structures], Sequence[torch.Tensor]],
) -> torch.Tensor:
    """Root mean squares of quantities, with the floor of :func:`with_floor`.

    :param batches: structures, in batches.
    :param quantities: computes the quantities of a batch, tensors of any shape.
    :return: one size for each quantity, in float64.
    """
    sums: List[torch.Tensor] = []
    counts: List[torch.Tensor] = []
    for batch in batches:
        values = quantities(batch)
        sums.append(torch.stack([x.double().pow(2).sum() for x in values]))
        counts.append(torch.tensor([x.numel() for x in values]).to(sums[-1]))
    mean_squares = torch.stack(sums).sum(0) / torch.stack(counts).sum(0).clamp(min=1.0)
    return with_floor(mean_squares.sqrt())


class ScalarNorm(torch.nn.Module):
    r"""Layer normalisation of the scalars of an atom.

    .. math::
        \frac{x - \bar x}{\sqrt{\mathrm{Var}(x) + \epsilon}}

    All scalars vanish with the cutoff function if there is no density of the center
    itself. They would be blown up again just below the cutoff, and a neighbor switched
    off within a tenth of an angstrom, if :math:`\epsilon` were not a part of their
    typical variance.

    :param can_vanish: whether the scalars of an atom without neighbors are zero.
    """

    floor: torch.Tensor  # ε, a number

    def __init__(self, can_vanish: bool) -> None:
        super().__init__()
        self.can_vanish = can_vanish
        floor = torch.tensor(SMALLEST_VARIANCE, dtype=torch.float64)
        self.register_buffer("floor", floor)

    def forward(self, scalars: torch.Tensor) -> torch.Tensor:
        """Normalise the scalars of every atom, ``(atoms, scalars)``."""
        return layer_norm(scalars, [scalars.shape[1]], eps=float(self.floor))

    def _load_from_state_dict(
        self, state_dict: Dict[str, Any], prefix: str, *args: Any
    ) -> None:
        smallest = torch.tensor(SMALLEST_VARIANCE, dtype=torch.float64)
        state_dict.setdefault(f"{prefix}floor", smallest)  # of models without it
        super()._load_from_state_dict(state_dict, prefix, *args)

    @torch.jit.unused
    @torch.no_grad()
    def calibrate(self, evaluations: Iterable[Any]) -> None:
        """Choose the floor.

        :param evaluations: of the model for typical structures, made one by one.
        """
        if not self.can_vanish:
            return
        seen: List[torch.Tensor] = []

        def look(module: Any, inputs: Any) -> None:
            seen.append(inputs[0].double().var(1, unbiased=False))

        hook = self.register_forward_pre_hook(look)
        for _ in evaluations:
            pass
        hook.remove()
        variance = VARIANCE_FLOOR * torch.cat(seen).mean()
        self.floor.copy_(variance.clamp(min=SMALLEST_VARIANCE))
