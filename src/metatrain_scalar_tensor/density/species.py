"""How neighbor types enter the channels of the density."""

from typing import List

import torch

from ..documentation import SpeciesHypers


MANY_TYPES = 10  # the power spectrum of more takes most of the time of a step


def choose_species(species: SpeciesHypers, num_types: int) -> SpeciesHypers:
    """The hyperparameters with ``auto`` replaced by what it stands for.

    Types are added to tensor-reduced models only, so that the choice never changes.

    :param species: hyperparameters.
    :param num_types: number of atom types.
    """
    if species["type"] != "auto":
        return species
    is_large = num_types > MANY_TYPES
    return {**species, "type": "tensor_reduced" if is_large else "orthogonal"}


def with_new_rows(
    table: torch.nn.Parameter, known: torch.Tensor, num_types: int
) -> torch.nn.Parameter:
    """Add random rows for new types to a table.

    :param table: the rows of the known types, ``(known types, channels)``
    :param known: positions of the known types among all, ``(known types,)``
    :param num_types: number of all types.
    :return: ``(num_types, channels)``; new rows have the distribution of known ones.
    """
    values = table.detach()
    spread = values.std(0, correction=0)
    rows = values.mean(0) + spread * torch.randn(num_types, len(spread)).to(values)
    rows[known] = values
    return torch.nn.Parameter(rows)


class OrthogonalSpecies(torch.nn.Module):
    """Separate channels for each neighbor type.

    :param num_types: number of types that neighbors can have.
    :param num_radial: number of radial functions.
    """

    def __init__(self, num_types: int, num_radial: int) -> None:
        super().__init__()
        self.num_types, self.num_radial = num_types, num_radial
        self.num_channels = num_types * num_radial

    def forward(
        self, density: List[torch.Tensor], types: torch.Tensor
    ) -> List[torch.Tensor]:
        """Add zeros for the types that do not occur.

        :param density: for every ``l``, ``(atoms, 2l + 1, types · n)``
        :param types: indices of the types that occur, ``(types,)``
        :return: for every ``l``, ``(atoms, 2l + 1, num_channels)``
        """
        if len(types) == self.num_types:
            return density
        n = torch.arange(self.num_radial, device=types.device)
        channels = (types.unsqueeze(1) * self.num_radial + n).flatten()
        of_all_types: List[torch.Tensor] = []
        for x in density:
            zeros = x.new_zeros([x.shape[0], x.shape[1], self.num_channels])
            of_all_types.append(zeros.index_copy_(2, channels, x))
        return of_all_types


class TensorReducedSpecies(torch.nn.Module):
    r"""Neighbor types and radial functions mixed into a fixed number of channels.

    .. math::
        x_{k, lm} = \sum_{q n} e_{qk} \, v_{nk}^{l} \, x_{qn, lm}

    with a learned embedding :math:`e` of the types: Darby et al., `PRL 131, 028001
    (2023) <https://doi.org/10.1103/PhysRevLett.131.028001>`_, `arXiv:2210.01705
    <https://arxiv.org/abs/2210.01705>`_. Only the embedding depends on the number of
    types, and a forward pass uses only those that occur in its structures.

    :param num_types: number of types that neighbors can have.
    :param num_radial: number of radial functions.
    :param max_angular: largest angular channel.
    :param num_channels: number of channels ``k``.
    """

    def __init__(
        self, num_types: int, num_radial: int, max_angular: int, num_channels: int
    ) -> None:
        super().__init__()
        self.num_channels = num_channels
        self.embedding = torch.nn.Parameter(torch.randn(num_types, num_channels))
        self.radial = torch.nn.Parameter(
            torch.randn(max_angular + 1, num_radial, num_channels) * num_radial**-0.5
        )

    def forward(
        self, density: List[torch.Tensor], types: torch.Tensor
    ) -> List[torch.Tensor]:
        """Mix the channels.

        :param density: for every ``l``, ``(atoms, 2l + 1, types · n)``
        :param types: indices of the types that occur, ``(types,)``
        :return: for every ``l``, ``(atoms, 2l + 1, num_channels)``
        """
        embedding = self.embedding[types].unsqueeze(1)  # (types, 1, k)
        mixed: List[torch.Tensor] = []
        for l, x in enumerate(density):
            weights = (embedding * self.radial[l]).flatten(0, 1)  # (types · n, k)
            mixed.append(x @ weights)
        return mixed

    def add_types(self, num_types: int, known: torch.Tensor) -> None:
        """Add types; ``known`` has the positions of the known ones among all."""
        self.embedding = with_new_rows(self.embedding, known, num_types)
