"""Targets of pairs of atoms: pairs as centers with surroundings of their own."""

import copy
from typing import Dict, List, Optional, Tuple

import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import ModelOutput, NeighborListOptions, System
from metatrain.utils.data import TargetInfo
from metatrain.utils.data.atom_pair_helpers import get_pair_sample_labels

from .basis import TensorBases
from .basis.contraction import Contraction
from .density.radial import RadialFunctions
from .documentation import AtomPairHypers, ExpansionHypers, TensorBasisHypers
from .exchange import ExchangeSymmetry
from .o3 import SphericalHarmonics
from .systems import atom_labels, edge_vectors
from .targets import BlockIrreps, TargetHead


def _numbers(pairs: torch.Tensor, reach: torch.Tensor) -> torch.Tensor:
    """One integer for every pair ``(first, second, shifts)``, that tells them apart."""
    numbers = pairs[:, 0] * (torch.max(pairs[:, 1]) + 1) + pairs[:, 1]
    for axis in range(2, 5):
        numbers = numbers * (2 * reach + 1) + pairs[:, axis] + reach
    return numbers


def opposite_pairs(
    first: torch.Tensor, second: torch.Tensor, shifts: torch.Tensor
) -> torch.Tensor:
    """Find every pair as it is seen from its other atom.

    :param first: index of the first atom of every pair, ``(pairs,)``
    :param second: index of the second atom, likewise.
    :param shifts: cell shifts of the second atom, ``(pairs, 3)``
    :return: the place of the pair with the atoms exchanged and the opposite shift.
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


class PairSurroundings(torch.nn.Module):
    r"""Features and density of pairs of atoms.

    .. math::
        x_{ij} = A x_i \oplus B x_j \oplus R(r_{ij}) \, Y(\hat r_{ij}), \qquad
        h_{ij} = N\left( C h_i + D h_j + E \left[ R(r_{ij}), \,
            A x_i \cdot Y, \, B x_j \cdot Y, \, A x_i \cdot B x_j \right] \right)

    with the densities :math:`x` and features :math:`h` of both atoms, the harmonics
    :math:`Y` of the vector between them, on which the densities are projected for every
    angular channel, and a small network :math:`N`. A pair is a center with a density as
    any atom, for which there are tensors of all symmetries.

    :param hypers: cutoff and number of channels.
    :param expansion: arguments of featomic's ``SphericalExpansion``.
    :param num_inputs: number of channels of the density of an atom.
    :param num_features: number of features of an atom, and of a pair.
    """

    def __init__(
        self,
        hypers: AtomPairHypers,
        expansion: ExpansionHypers,
        num_inputs: int,
        num_features: int,
    ) -> None:
        super().__init__()
        of_pairs = copy.deepcopy(expansion)
        # far pairs count as much as near ones: no scaling, and the switch beyond them
        of_pairs["density"]["scaling"] = None
        of_pairs["cutoff"]["radius"] = (
            hypers["cutoff"] + expansion["cutoff"]["smoothing"]["width"]
        )
        self.radial = RadialFunctions(of_pairs)
        self.neighbor_list = NeighborListOptions(
            cutoff=hypers["cutoff"], full_list=True, strict=True
        )
        self.num_features = num_features
        self.max_angular = max_angular = expansion["basis"]["max_angular"]
        self.num_radial = expansion["basis"]["radial"]["max_radial"] + 1
        self.num_components = [2 * l + 1 for l in range(max_angular + 1)]
        self.harmonics = SphericalHarmonics(max_angular)
        num_channels = hypers["num_channels"]
        self.num_channels = 3 * num_channels  # of the density of a pair
        self.of_first, self.of_second = [
            torch.nn.ModuleList(
                Contraction(num_inputs, num_channels) for _ in self.num_components
            )
            for _ in range(2)
        ]
        self.of_edge = torch.nn.Linear(self.num_radial, num_channels, bias=False)
        num_scalars = self.num_radial + 3 * num_channels * (max_angular + 1)
        self.first_features = torch.nn.Linear(num_features, num_features)
        self.second_features = torch.nn.Linear(num_features, num_features, bias=False)
        self.scalars = torch.nn.Sequential(
            torch.nn.LayerNorm(num_scalars),
            torch.nn.Linear(num_scalars, num_features, bias=False),
        )
        self.network = torch.nn.Sequential(
            torch.nn.SiLU(),
            torch.nn.Linear(num_features, num_features),
            torch.nn.SiLU(),
        )

    def forward(
        self,
        systems: List[System],
        density: List[torch.Tensor],
        features: torch.Tensor,
    ) -> Tuple[torch.Tensor, List[torch.Tensor], torch.Tensor, torch.Tensor]:
        """Look at all pairs of the neighbor list.

        :param systems: structures, whose atoms are stacked in order.
        :param density: for every ``l``, ``(atoms, 2l + 1, num_inputs)``
        :param features: ``(atoms, num_features)``
        :return: features, ``(pairs, num_features)``, density, for every ``l``
            ``(pairs, 2l + 1, num_channels)``, and first and second atoms, ``(pairs,)``.
        """
        vectors, i, j = edge_vectors(systems, self.neighbor_list)
        distances = torch.sqrt(vectors.pow(2).sum(1))
        functions, _ = self.radial(distances)
        mixing = self.radial.mixing_of(functions)
        radial = functions @ mixing[:, : self.num_radial]  # (pairs, n)
        harmonics = self.harmonics(vectors / distances.unsqueeze(1))  # (pairs, l · m)
        of_l = harmonics.split(self.num_components, dim=1)
        weights = self.of_edge(radial).unsqueeze(1)  # (pairs, 1, c)

        scalars, of_pairs = [radial], torch.jit.annotate(List[torch.Tensor], [])
        for l, (first, second) in enumerate(zip(self.of_first, self.of_second)):
            x = first(density[l]).index_select(0, i)  # (pairs, 2l + 1, c)
            y = second(density[l]).index_select(0, j)
            edge = of_l[l].unsqueeze(2)
            of_pairs.append(torch.cat([x, y, edge * weights], dim=2))
            for product in (x * edge, y * edge, x * y):
                scalars.append(product.sum(1))
        hidden = self.scalars(torch.cat(scalars, dim=1))
        hidden = hidden + self.first_features(features).index_select(0, i)
        hidden = hidden + self.second_features(features).index_select(0, j)
        hidden = self.network(hidden)
        return hidden, of_pairs, i, j


class AtomPairs(torch.nn.Module):
    """The targets of pairs, of which the neighbor list has both orders.

    :param surroundings: what makes features and density of the pairs.
    :param tensor_basis: which kinds of tensors to use.
    """

    def __init__(
        self, surroundings: PairSurroundings, tensor_basis: TensorBasisHypers
    ) -> None:
        super().__init__()
        self.surroundings = surroundings
        self.neighbor_list = surroundings.neighbor_list
        self.bases = TensorBases(
            tensor_basis, surroundings.max_angular, surroundings.num_channels
        )
        self.heads = torch.nn.ModuleDict()  # one for every target

    def add(
        self,
        name: str,
        info: TargetInfo,
        irreps: List[BlockIrreps],
        exchange: Optional[ExchangeSymmetry],
    ) -> None:
        """Register a target.

        :param name: name of the target.
        :param info: the target, atomic-basis ones in their dense form.
        :param irreps: irreps of its blocks.
        :param exchange: symmetry under exchange of the atoms, if there is one.
        :raises ValueError: if there are no tensors of its symmetry.
        """
        self.heads[name] = TargetHead(
            name, info, irreps, self.surroundings.num_features, self.bases, exchange
        )

    def forward(
        self,
        systems: List[System],
        density: List[torch.Tensor],
        features: torch.Tensor,
        outputs: Dict[str, ModelOutput],
        selected_atoms: Optional[Labels],
    ) -> Dict[str, TensorMap]:
        """Predict those of the outputs that are of pairs.

        :param systems: structures, whose atoms are stacked in order.
        :param density: for every ``l``, ``(atoms, 2l + 1, num_inputs)``
        :param features: ``(atoms, num_features)``
        :param outputs: the outputs that were asked for.
        :param selected_atoms: first atoms of the pairs; all by default.
        :return: the outputs.
        """
        predictions: Dict[str, TensorMap] = {}
        symmetries: List[str] = []
        for name, head in self.heads.items():
            if name in outputs:
                symmetries.extend(head.basis_names)  # type: ignore[arg-type]
        if len(symmetries) == 0:
            return predictions
        hidden, of_pairs, i, j = self.surroundings(systems, density, features)
        bases = self.bases(of_pairs, symmetries)  # (pairs, 2λ + 1, tensors) each
        centers = atom_labels(systems)
        samples = get_pair_sample_labels(
            centers, systems=systems, nl_options=self.neighbor_list
        )
        opposite = opposite_pairs(i, j, samples.values[:, 3:])
        for name, head in self.heads.items():
            if name in outputs:
                last_layer = head.last_layer_features(hidden)  # type: ignore[operator]
                predictions[name] = head(last_layer, bases, samples, systems, opposite)
        if selected_atoms is not None:
            is_selected = torch.zeros_like(centers.values[:, 0], dtype=torch.bool)
            is_selected[centers.select(selected_atoms)] = True
            rows = torch.where(is_selected[i])[0]
            for name in list(predictions.keys()):
                predictions[name] = _take(predictions[name], rows)
        return predictions


def _take(tensor: TensorMap, rows: torch.Tensor) -> TensorMap:
    """Some samples of a TensorMap whose blocks have the same ones."""
    blocks: List[TensorBlock] = []
    for block in tensor.blocks():
        samples = Labels(block.samples.names, block.samples.values[rows])
        blocks.append(
            TensorBlock(block.values[rows], samples, block.components, block.properties)
        )
    return TensorMap(tensor.keys, blocks)
