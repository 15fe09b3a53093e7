"""Features that reach beyond the cutoff."""

import torch
from metatomic.torch import NeighborListOptions
from metatrain.utils.long_range import LongRangeFeaturizer, LongRangeHypers

from .structures import Structures


class LongRange(torch.nn.Module):
    """metatrain's long-range featurizer: potentials of learned charges.

    :param hypers: hyperparameters of the featurizer.
    :param num_features: number of features of an atom.
    :param neighbor_list: neighbor list of the structures.
    """

    def __init__(
        self,
        hypers: LongRangeHypers,
        num_features: int,
        neighbor_list: NeighborListOptions,
    ) -> None:
        super().__init__()
        self.featurizer = LongRangeFeaturizer(hypers, num_features, neighbor_list)

    def forward(self, structures: Structures, features: torch.Tensor) -> torch.Tensor:
        """Evaluate the potentials.

        :param structures: structures, whose atoms are stacked in order.
        :param features: ``(atoms, num_features)``
        :return: features to add to these, ``(atoms, num_features)``
        :raises ValueError: if a structure is periodic in one or two directions.
        """
        for i, system in enumerate(structures.systems):
            if bool(system.pbc.any()) and not bool(system.pbc.all()):
                raise ValueError(
                    f"structure {i} is periodic in some directions only, and "
                    "long-range features need all three, or none: make it periodic in "
                    "all, with a layer of vacuum, or train without 'model.long_range'"
                )
        distances = structures.neighbor_list.vectors.pow(2).sum(1).sqrt()
        return self.featurizer(structures.systems, features, distances)
