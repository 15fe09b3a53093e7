"""Pairs of atoms as centers, with features and a density of their own."""

import copy
from typing import Any, List, NamedTuple

import torch
from metatomic.torch import NeighborListOptions
from torch.nn.functional import layer_norm

from ..basis.contraction import Contraction
from ..documentation import AtomPairHypers, ExpansionHypers
from ..o3 import SphericalHarmonics
from ..structures import Structures, read_neighbor_list
from ..structures.radial import radial_functions
from .functions import STEEPNESS, Moments, ScalarFunctions


# of the density of a pair: both atoms, and the vector between them
NUM_PARTS = 3


class PairFeatures(NamedTuple):
    """Features and density of pairs of atoms, in both orders."""

    features: torch.Tensor  # (pairs, features)
    scalars: torch.Tensor  # (pairs, num_scalars + num_functions)
    density: List[torch.Tensor]  # for every l, (pairs, 2l + 1, channels)
    first: torch.Tensor  # (pairs,), index of the first atom
    kinds: torch.Tensor  # (pairs,), index of the types of both atoms
    opposite: torch.Tensor  # (pairs,), index of the pair with its atoms exchanged


class _Seen(NamedTuple):
    """What pairs are like, before any network."""

    scalars: torch.Tensor  # (pairs, num_scalars)
    density: List[torch.Tensor]  # for every l, (pairs, 2l + 1, channels)
    first: torch.Tensor  # (pairs,), index of the first atom
    second: torch.Tensor  # (pairs,), index of the second atom
    shifts: torch.Tensor  # (pairs, 3), of the cell of the second atom
    kinds: torch.Tensor  # (pairs,), index of the types of both atoms


def _numbers(pairs: torch.Tensor, reach: torch.Tensor) -> torch.Tensor:
    """A unique integer for every pair ``(first, second, shifts)``."""
    numbers = pairs[:, 0] * (torch.max(pairs[:, 1]) + 1) + pairs[:, 1]
    for axis in range(2, 5):
        numbers = numbers * (2 * reach + 1) + pairs[:, axis] + reach
    return numbers


def opposite_pairs(
    first: torch.Tensor, second: torch.Tensor, shifts: torch.Tensor
) -> torch.Tensor:
    """For each pair, find the one with the atoms exchanged and the opposite shift.

    :param first: index of the first atom of each pair, ``(pairs,)``
    :param second: index of the second atom, ``(pairs,)``
    :param shifts: cell shifts of the second atom, ``(pairs, 3)``
    :return: index of the opposite pair, ``(pairs,)``
    """
    opposite = torch.empty_like(first)
    if len(first) > 0:
        shifts = shifts.to(torch.int64)
        reach = torch.max(torch.abs(shifts))
        pairs = torch.cat([torch.stack([first, second], dim=1), shifts], dim=1)
        seen = torch.cat([torch.stack([second, first], dim=1), -shifts], dim=1)
        order = torch.argsort(_numbers(pairs, reach))
        opposite[order] = torch.argsort(_numbers(seen, reach))
    return opposite


def num_scalars(hypers: AtomPairHypers, expansion: ExpansionHypers) -> int:
    """The number of scalars of a pair: radial functions and projections.

    :param hypers: number of channels.
    :param expansion: the density.
    """
    num_radial = expansion["basis"]["radial"]["max_radial"] + 1
    num_angular = expansion["basis"]["max_angular"] + 1
    return num_radial + 3 * hypers["num_channels"] * num_angular


class AtomPairs(torch.nn.Module):
    r"""Features and density of pairs of atoms.

    .. math::
        x_{ij} = A x_i \oplus B x_j \oplus R(r_{ij}) \, Y(\hat r_{ij}), \qquad
        h_{ij} = N\left( C h_i + D h_j + E \left[ R(r_{ij}), \,
            A x_i \cdot Y, \, B x_j \cdot Y, \, A x_i \cdot B x_j \right] \right)

    with the densities :math:`x` and features :math:`h` of both atoms, the harmonics
    :math:`Y` of the vector between them, onto which the densities are projected for
    each angular channel, and a small network :math:`N`. A pair is then a center with a
    density, from which tensors of all symmetries are built as for an atom. Scalars of
    pairs have one tensor only: they are linear in the scalars in brackets, too, and in
    many functions :math:`\mathrm{SiLU}(F [...] + f)` of these, random at first. The
    scalars in brackets are in units of their standard deviation for the two types.

    :param hypers: cutoff and number of channels.
    :param expansion: arguments of featomic's ``SphericalExpansion``.
    :param num_inputs: number of channels of the density of an atom.
    :param num_features: number of features of an atom, and of a pair.
    :param num_types: number of atom types to be distinguished, 1 for none.
    """

    has_layer_norm: torch.Tensor

    def __init__(
        self,
        hypers: AtomPairHypers,
        expansion: ExpansionHypers,
        num_inputs: int,
        num_features: int,
        num_types: int,
    ) -> None:
        super().__init__()
        of_pairs = copy.deepcopy(expansion)
        # far pairs count as much as near ones: no scaling, and a cutoff beyond them
        of_pairs["density"]["scaling"] = None
        of_pairs["cutoff"]["radius"] = (
            hypers["cutoff"] + expansion["cutoff"]["smoothing"]["width"]
        )
        self.radial: Any = radial_functions(of_pairs)
        self.neighbor_list = NeighborListOptions(
            cutoff=hypers["cutoff"], full_list=True, strict=True
        )
        self.num_features = num_features
        self.num_types = num_types
        self.max_angular = max_angular = expansion["basis"]["max_angular"]
        self.num_radial = expansion["basis"]["radial"]["max_radial"] + 1
        self.num_components = [2 * l + 1 for l in range(max_angular + 1)]
        self.harmonics = SphericalHarmonics(max_angular)
        num_channels = hypers["num_channels"]
        self.of_first, self.of_second = [
            torch.nn.ModuleList(
                Contraction(num_inputs, num_channels) for _ in self.num_components
            )
            for _ in range(2)
        ]
        self.of_edge = torch.nn.Linear(self.num_radial, num_channels, bias=False)
        self.first_features = torch.nn.Linear(num_features, num_features)
        self.second_features = torch.nn.Linear(num_features, num_features, bias=False)
        size = num_scalars(hypers, expansion)
        self.num_scalars = size
        # as in 0.2.0, whose checkpoints need it: less accurate by a fifth
        self.register_buffer("has_layer_norm", torch.tensor(False))
        self.functions = ScalarFunctions(size, num_types**2, hypers["num_functions"])
        self.of_scalars = torch.nn.Linear(size, num_features, bias=False)
        torch.nn.init.normal_(self.of_scalars.weight, std=STEEPNESS * size**-0.5)
        self.network = torch.nn.Sequential(
            torch.nn.SiLU(),
            torch.nn.Linear(num_features, num_features),
            torch.nn.SiLU(),
        )

    def forward(
        self,
        structures: Structures,
        density: List[torch.Tensor],
        features: torch.Tensor,
    ) -> PairFeatures:
        """Compute features and density of all pairs, in the order of the neighbor list.

        :param structures: structures, whose atoms are stacked in order.
        :param density: for every ``l``, ``(atoms, 2l + 1, num_inputs)``
        :param features: ``(atoms, num_features)``
        """
        pairs = self.look(structures, density)
        i, j = pairs.first, pairs.second
        scalars = self.functions(pairs.scalars, pairs.kinds)
        hidden = self.of_scalars(scalars[:, : self.num_scalars])
        hidden = hidden + self.first_features(features).index_select(0, i)
        hidden = hidden + self.second_features(features).index_select(0, j)
        return PairFeatures(
            self.network(hidden),
            scalars,
            pairs.density,
            i,
            pairs.kinds,
            opposite_pairs(i, j, pairs.shifts),
        )

    @torch.jit.export
    def look(self, structures: Structures, density: List[torch.Tensor]) -> _Seen:
        """Compute scalars and density of all pairs.

        :param structures: structures, whose atoms are stacked in order.
        :param density: for every ``l``, ``(atoms, 2l + 1, num_inputs)``
        """
        pairs = read_neighbor_list(structures.systems, self.neighbor_list)
        i, j = pairs.first, pairs.second
        distances = torch.sqrt(pairs.vectors.pow(2).sum(1))
        of_distance, cutoff = self.radial(distances)
        of_distance = self.radial.refine(of_distance, cutoff)
        mixing = self.radial.mixing_of(of_distance)
        radial = of_distance @ mixing[:, : self.num_radial]  # (pairs, n)
        directions = pairs.vectors / distances.unsqueeze(1)
        of_l = self.harmonics(directions).split(self.num_components, dim=1)
        weights = self.of_edge(radial).unsqueeze(1)  # (pairs, 1, c)

        scalars, of_pairs = [radial], torch.jit.annotate(List[torch.Tensor], [])
        for l, (first, second) in enumerate(zip(self.of_first, self.of_second)):
            x = first(density[l]).index_select(0, i)  # (pairs, 2l + 1, c)
            y = second(density[l]).index_select(0, j)
            edge = of_l[l].unsqueeze(2)
            of_pairs.append(torch.cat([x, y, edge * weights], dim=2))
            for product in (x * edge, y * edge, x * y):
                scalars.append(product.sum(1))
        kinds = self.kinds_of(structures.types[i], structures.types[j])
        shifts = torch.cat(pairs.shifts)
        all_scalars = torch.cat(scalars, dim=1)
        if self.has_layer_norm:
            all_scalars = layer_norm(all_scalars, [self.num_scalars])
        return _Seen(all_scalars, of_pairs, i, j, shifts, kinds)

    @torch.jit.unused
    def moments(self, structures: Structures, density: List[torch.Tensor]) -> Moments:
        """From what the units of the scalars are chosen.

        :param structures: structures, whose atoms are stacked in order.
        :param density: as in :meth:`forward`.
        """
        pairs = self.look(structures, density)
        return self.functions.moments(pairs.scalars, pairs.kinds)

    @torch.jit.export
    def kinds_of(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Index of the ordered pair of types; 0 if they are not distinguished.

        :param first: index of the type of the first atom of every pair, ``(pairs,)``
        :param second: likewise of the second.
        """
        if self.num_types == 1:
            return torch.zeros_like(first)
        return self.num_types * first + second
