"""The neighbor density: the one place that looks at the atoms around a center."""

from typing import List

import torch
from featomic.torch import SphericalExpansion
from metatensor.torch import Labels
from metatomic.torch import System

from .documentation import ExpansionHypers


class Density(torch.nn.Module):
    r"""The density of neighbors in radial functions and spherical harmonics.

    .. math::
        x_{i, qn, lm} = s_l \sum_{j: q_j = q} R_{nl}(r_{ij}) \, f_c(r_{ij}) \,
            Y_{lm}(\hat r_{ij})

    as featomic's ``SphericalExpansion`` defines it, times one constant :math:`s_l` per
    angular channel that :meth:`calibrate` sets.

    :param hypers: arguments of featomic's ``SphericalExpansion``.
    :param atomic_types: types that neighbors can have.
    :raises ValueError: if the switch at the cutoff is wider than the cutoff.
    """

    scale: torch.Tensor  # (max_angular + 1,)
    is_calibrated: torch.Tensor

    def __init__(self, hypers: ExpansionHypers, atomic_types: List[int]) -> None:
        super().__init__()
        cutoff = hypers["cutoff"]
        if cutoff["smoothing"]["width"] > cutoff["radius"]:
            raise ValueError(
                f"the density can't go to zero over {cutoff['smoothing']['width']} "
                f"within a cutoff of {cutoff['radius']}: set 'width' of "
                "'model.expansion.cutoff.smoothing' to the radius or less"
            )
        self.max_angular = hypers["basis"]["max_angular"]
        self.num_channels = len(atomic_types) * (
            hypers["basis"]["radial"]["max_radial"] + 1
        )
        self.expansion = SphericalExpansion(**hypers)
        # the neighbor list that it reads
        self.neighbor_list = self.expansion.requested_neighbor_lists()[0]
        self.neighbor_types = Labels(
            "neighbor_type",
            torch.tensor(atomic_types, dtype=torch.int32).reshape(-1, 1),
        )
        self.register_buffer(
            "scale", torch.ones(self.max_angular + 1, dtype=torch.float64)
        )
        self.register_buffer("is_calibrated", torch.tensor(False))

    def forward(self, systems: List[System]) -> List[torch.Tensor]:
        """Expand the density around every atom.

        :param systems: structures, whose atoms are stacked in order.
        :return: for every ``l``, a tensor ``(atoms, 2l + 1, channels)``; the channels
            are the pairs (neighbor type, radial function).
        """
        neighbor_types = self.neighbor_types.to(systems[0].device)
        expansion = self.expansion(systems)
        # (λ, σ, center_type, neighbor_type) -> (λ, σ), atoms in the order of `systems`
        expansion = expansion.keys_to_properties(neighbor_types)
        expansion = expansion.keys_to_samples("center_type")
        density: List[torch.Tensor] = []
        for l in range(self.max_angular + 1):
            block = expansion.block({"o3_lambda": l})
            density.append(block.values * self.scale[l])
        return density

    @torch.no_grad()
    def calibrate(self, systems: List[System]) -> None:
        """Choose the constants so that every channel ``l`` has unit mean square.

        Radial integrals and the l = 0 self-term make the channels differ by an order of
        magnitude; networks and tensor products want them alike. The constants depend on
        nothing but the structures and do not change afterwards.

        :param systems: typical structures, such as the first batch of a training set.
        """
        self.scale.fill_(1.0)
        for l, values in enumerate(self(systems)):
            mean_square = values.pow(2).mean()
            if mean_square > 0:  # lone atoms have no density but their own
                self.scale[l] = mean_square.rsqrt()
        self.is_calibrated.fill_(True)
