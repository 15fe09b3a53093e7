"""The network, from the invariants of an atom to its features."""

from typing import List

import torch

from .density.species import with_new_rows
from .structures.groups import group_by_type, in_order


def _perceptron(num_inputs: int, width: int, num_layers: int) -> torch.nn.Sequential:
    layers: List[torch.nn.Module] = []
    for i in range(num_layers):
        layers.append(torch.nn.Linear(num_inputs if i == 0 else width, width))
        layers.append(torch.nn.SiLU())
    return torch.nn.Sequential(*layers)


class SeparateNetworks(torch.nn.Module):
    """A multilayer perceptron for each center type.

    Behler and Parrinello, `PRL 98, 146401 (2007)
    <https://doi.org/10.1103/PhysRevLett.98.146401>`_.

    :param num_types: number of center types.
    :param num_inputs: number of invariants.
    :param width: width of the hidden layers and number of features.
    :param num_layers: number of hidden layers.
    """

    def __init__(
        self, num_types: int, num_inputs: int, width: int, num_layers: int
    ) -> None:
        super().__init__()
        self.width = width
        self.networks = torch.nn.ModuleList(
            _perceptron(num_inputs, width, num_layers) for _ in range(num_types)
        )

    def forward(
        self, invariants: torch.Tensor, center_type: torch.Tensor
    ) -> torch.Tensor:
        """Apply the network of its type to each atom.

        :param invariants: with a variance of one, ``(atoms, num_inputs)``
        :param center_type: index of the type, ``(atoms,)``
        :return: features, ``(atoms, width)``
        """
        groups = group_by_type(center_type, len(self.networks))
        of_types = invariants.index_select(0, groups.order).split(groups.counts)
        features: List[torch.Tensor] = []
        for i, network in enumerate(self.networks):
            features.append(network(of_types[i]))
        return in_order(features, groups)


class EmbeddedNetwork(torch.nn.Module):
    r"""One multilayer perceptron for all center types.

    The first hidden layer is :math:`\mathrm{SiLU}(s_q \odot W p + t_q)` with a learned
    scale and shift for each center type :math:`q`.

    :param num_types: number of center types.
    :param num_inputs: number of invariants.
    :param width: width of the hidden layers and number of features.
    :param num_layers: number of hidden layers.
    """

    def __init__(
        self, num_types: int, num_inputs: int, width: int, num_layers: int
    ) -> None:
        super().__init__()
        self.width = width
        self.first = torch.nn.Linear(num_inputs, width)
        self.scale = torch.nn.Parameter(1.0 + 0.1 * torch.randn(num_types, width))
        self.shift = torch.nn.Parameter(0.1 * torch.randn(num_types, width))
        self.rest = _perceptron(width, width, num_layers - 1)

    def forward(
        self, invariants: torch.Tensor, center_type: torch.Tensor
    ) -> torch.Tensor:
        """Apply the network.

        :param invariants: with a variance of one, ``(atoms, num_inputs)``
        :param center_type: index of the type, ``(atoms,)``
        :return: features, ``(atoms, width)``
        """
        hidden = self.first(invariants)  # (atoms, width)
        hidden = self.scale[center_type] * hidden + self.shift[center_type]
        return self.rest(torch.nn.functional.silu(hidden))

    def add_types(self, num_types: int, known: torch.Tensor) -> None:
        """Add center types; ``known`` has the positions of the known ones among all."""
        self.scale = with_new_rows(self.scale, known, num_types)
        self.shift = with_new_rows(self.shift, known, num_types)
