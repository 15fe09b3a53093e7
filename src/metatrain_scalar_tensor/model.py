"""The model: density, invariants, coefficients, tensors, and their sum."""

import math
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Set, Union

import torch
from metatomic.torch import NeighborListOptions

from .density import Density, NeighborSum, Surroundings, choose_species
from .documentation import ModelHypers
from .invariants import ChannelwiseInvariants, PowerSpectrum
from .long_range import LongRange
from .messages import Messages
from .network import EmbeddedNetwork, SeparateNetworks
from .normalisation import ScalarNorm
from .readout import AtomPairs, Centers, ExchangeSymmetry, Readout, TargetBlock
from .readout.atom_pairs import NUM_PARTS, num_scalars
from .readout.functions import NUM_FUNCTIONS, Moments, ScalarFunctions
from .readout.heads import TargetHead
from .structures import EdgeFunctions, Structures, positions_in_molecules
from .system_inputs import SystemInputs, beside, with_products


class Described(NamedTuple):
    """What the readout needs to know of every atom."""

    density: List[torch.Tensor]  # for every l, (atoms, 2l + 1, channels)
    invariants: torch.Tensor  # (atoms, invariants), normalised
    features: torch.Tensor  # (atoms, features)


class Prediction(NamedTuple):
    """Predicted targets and the features of the atoms."""

    values: Dict[str, List[torch.Tensor]]
    """Blocks of every target, ``(centers, *components, properties)``"""
    features: torch.Tensor
    """``(atoms, features)``"""
    members: List[Dict[str, List[torch.Tensor]]]
    """For every member of the ensembles, its differences from the values"""


class Model(torch.nn.Module):
    r"""Invariant coefficients times equivariant tensors.

    .. math::
        y_i^{\lambda\sigma} = \sum_b c_b(p_i) \, B_b^{\lambda\sigma}(x_i)

    with the neighbor density :math:`x_i`, its power spectrum :math:`p_i`, coefficients
    :math:`c_b` from a neural network and tensors :math:`B_b` with the symmetry of the
    target: Domina, Bigi, Pegolo and Ceriotti, `arXiv:2505.05404
    <https://arxiv.org/abs/2505.05404>`_.

    :param hypers: hyperparameters of the model.
    :param atomic_types: the supported atom types, in ascending order.
    :raises ValueError: if hyperparameters contradict each other.
    """

    def __init__(self, hypers: ModelHypers, atomic_types: List[int]) -> None:
        super().__init__()
        self.hypers = hypers
        expansion, num_types = hypers["expansion"], len(atomic_types)
        species = choose_species(hypers["species"], num_types)
        self.edges = EdgeFunctions(expansion)
        self.density = Density(expansion, atomic_types, hypers["engine"], species)
        max_angular, num_channels = self.density.max_angular, self.density.num_channels
        network = hypers["network"]
        self.num_features = network["num_neurons_per_layer"]
        shape = (self.num_features, network["num_hidden_layers"])
        self.messages: Optional[Messages] = None
        self.invariants: Any = None  # those of the density, without messages
        if hypers["messages"]["layers"] > 0:
            self.messages = Messages(
                hypers["messages"], expansion, num_channels, num_types
            )
            num_invariants = self.messages.num_scalars
            num_channels = hypers["messages"]["channels"]
        elif species["type"] == "orthogonal":
            num_radial = num_channels // num_types
            self.invariants = PowerSpectrum(max_angular, num_types, num_radial)
            num_invariants = self.invariants.size
        else:
            self.invariants = ChannelwiseInvariants(
                max_angular, num_channels, species["correlation_order"]
            )
            num_invariants = self.invariants.size
        self.normalise = ScalarNorm(expansion["basis"]["radial"]["type"] == "Bessel")
        self.inputs = SystemInputs(hypers["system_inputs"])
        num_inputs = len(hypers["system_inputs"])
        sizes = (num_types, num_invariants + num_inputs, *shape)
        self.network: Union[SeparateNetworks, EmbeddedNetwork]
        if species["type"] == "orthogonal":
            self.network = SeparateNetworks(*sizes)
        else:
            self.network = EmbeddedNetwork(*sizes)
        self.long_range: Optional[LongRange] = None
        if hypers["long_range"]["enable"]:
            self.long_range = LongRange(
                hypers["long_range"], self.num_features, self.edges.neighbor_list
            )
        self.neighbor_sum: Optional[NeighborSum] = None
        num_sums = hypers["tensor_basis"]["neighbors"]
        if num_sums is not None:
            self.neighbor_sum = NeighborSum(expansion, self.num_features, num_sums)
            num_channels += num_sums
        # made for the first target that needs them
        self.atom_pairs: Optional[AtomPairs] = None
        self.functions: Optional[ScalarFunctions] = None
        pair_channels = NUM_PARTS * hypers["atom_pairs"]["num_channels"]
        # all types have the same weights, or those of each their own
        self.has_own_weights = species["type"] == "orthogonal"
        self.num_pair_types = num_types if self.has_own_weights else 1
        num_of_pairs = num_scalars(hypers["atom_pairs"], expansion)
        num_of_pairs += hypers["atom_pairs"]["num_functions"]
        self.num_products = num_invariants * (1 + 2 * num_inputs)
        num_scalars_of_atoms = (self.num_products, self.num_products + NUM_FUNCTIONS)
        of_atoms = (num_channels, self.num_features, *num_scalars_of_atoms, num_types)
        kinds = self.num_pair_types**2
        of_pairs = (pair_channels, self.num_features, num_of_pairs, num_of_pairs, kinds)
        self.readouts = torch.nn.ModuleDict(
            {
                center: Readout(hypers["tensor_basis"], max_angular, *of_center)
                for center, of_center in (("atom", of_atoms), ("atom_pair", of_pairs))
            }
        )

    def forward(
        self,
        structures: Structures,
        targets: List[str],
        atoms: Optional[torch.Tensor] = None,
        surroundings: Optional[Surroundings] = None,
        ensembles: Optional[List[str]] = None,
    ) -> Prediction:
        """Predict targets.

        :param structures: structures, whose atoms are stacked in order.
        :param targets: the targets to predict; other names are ignored.
        :param atoms: predict only these atoms, and pairs whose first atom is among
            them, ``(selected atoms,)``; all by default.
        :param surroundings: the result of :meth:`look`, if already computed.
        :param ensembles: those targets of which to evaluate the members of the
            ensemble, too; by default none.
        :return: the contributions of atoms, and the values of pairs of atoms.
        """
        if surroundings is None:
            surroundings = self.look(structures)
        density, invariants, features = self.describe(structures, targets, surroundings)

        draws = torch.jit.annotate(List[Dict[str, List[torch.Tensor]]], [])
        if self.atom_pairs is not None and self.has_pairs(targets):
            pairs = self.atom_pairs(structures, density, features)
            nowhere = pairs.features[:, :0]
            scalars = pairs.scalars
            centers = Centers(pairs.features, scalars, scalars, pairs.kinds, nowhere)
            draws = self.readouts["atom_pair"](
                centers, pairs.density, targets, pairs.opposite, ensembles
            )
            if atoms is not None:
                draws = _of_first_atoms(draws, pairs.first, atoms, len(features))
        types, positions = structures.types, features[:, :0]
        if self.have_charges(targets):
            positions = positions_in_molecules(structures.systems)
        if atoms is not None:
            density = [x[atoms] for x in density]
            features, invariants = features[atoms], invariants[atoms]
            types, positions = types[atoms], positions[atoms]
        functions = features[:, :0]
        readout = self.readouts["atom"]
        if self.functions is not None and readout.reads_functions(targets):  # type: ignore[operator]
            functions = self.functions(invariants, types)
        centers = Centers(features, invariants, functions, types, positions)
        of_atoms = readout(centers, density, targets, None, ensembles)
        draws = _united(of_atoms, draws)
        return Prediction(draws[0], features, draws[1:])

    @torch.jit.export
    def look(self, structures: Structures) -> Surroundings:
        """Compute the edges, and the neighbor density from them.

        :param structures: structures, whose atoms are stacked in order.
        """
        edges = self.edges(structures.neighbor_list, structures.types)
        return Surroundings(self.density(structures, edges), edges)

    @torch.jit.export
    def describe(
        self, structures: Structures, targets: List[str], surroundings: Surroundings
    ) -> Described:
        """From the density of the atoms to their features.

        :param structures: structures, whose atoms are stacked in order.
        :param targets: the targets that will be predicted.
        :param surroundings: the result of :meth:`look`.
        """
        density, edges = surroundings.density, surroundings.edges
        if self.messages is not None:
            density, scalars = self.messages(
                density, edges, structures.types, self.reads_density(targets)
            )
            invariants = self.normalise(scalars)
        else:
            invariants = self.normalise(self.invariants(density))  # (atoms, invariants)
            scalars = invariants
        if len(self.inputs.names) > 0:
            inputs = self.inputs(structures.systems)  # (atoms, inputs)
            scalars = beside(inputs, scalars)
            invariants = with_products(inputs, invariants)
        features = self.network(scalars, structures.types)  # (atoms, features)
        if self.long_range is not None:
            features = features + self.long_range(structures, features)
        if self.neighbor_sum is not None and self.reads_density(targets):
            sums = self.neighbor_sum(features, edges)
            density = [torch.cat([x, y], dim=2) for x, y in zip(density, sums)]
        return Described(density, invariants, features)

    @torch.jit.export
    def has_pairs(self, targets: List[str]) -> bool:
        """Whether any of the targets is one of pairs of atoms."""
        readout = self.readouts["atom_pair"]
        return len(readout.symmetries(targets)) > 0  # type: ignore[operator]

    @torch.jit.export
    def have_charges(self, targets: List[str]) -> bool:
        """Whether any of the targets has charges, which need the positions."""
        readout = self.readouts["atom"]
        return readout.have_charges(targets)  # type: ignore[operator]

    @torch.jit.export
    def reads_density(self, targets: List[str]) -> bool:
        """Whether any target needs the density, as all but scalars of atoms do."""
        of_atoms = self.readouts["atom"].reads_density(targets)  # type: ignore[operator]
        return self.has_pairs(targets) or of_atoms

    @torch.jit.export
    def last_layer_features(
        self, features: torch.Tensor, targets: List[str]
    ) -> Dict[str, torch.Tensor]:
        """The inputs of the last linear layer of some targets of atoms.

        :param features: as returned by :meth:`forward`, ``(atoms, features)``
        :param targets: targets of atoms.
        :return: for each target, ``(atoms, features)``
        """
        readout = self.readouts["atom"]
        return readout.last_layer_features(features, targets)  # type: ignore[operator]

    @torch.jit.export
    def requested_neighbor_lists(self) -> List[NeighborListOptions]:
        """The neighbor lists that structures must have."""
        lists = self.density.requested_neighbor_lists()
        lists.append(self.edges.neighbor_list)
        if self.atom_pairs is not None:
            lists.append(self.atom_pairs.neighbor_list)
        return lists

    def add_target(
        self,
        name: str,
        center: str,
        blocks: List[TargetBlock],
        exchange: Optional[ExchangeSymmetry],
        is_atomic_basis: bool,
    ) -> None:
        """Register a target, with the tensors that it needs.

        :param name: name of the target.
        :param center: ``atom`` or ``atom_pair``.
        :param blocks: irreps and shape of each block.
        :param exchange: symmetry under exchange of atoms or indices, if any.
        :param is_atomic_basis: whether the values belong to basis functions of the
            center, which differ from type to type.
        :raises ValueError: if the model can't predict it, saying why.
        """
        readouts: Any = self.readouts  # mypy takes their attributes for tensors
        if center == "atom_pair" and self.atom_pairs is None:
            self.atom_pairs = AtomPairs(
                self.hypers["atom_pairs"],
                self.hypers["expansion"],
                readouts["atom"].bases.num_inputs,
                self.num_features,
                self.num_pair_types,
            )
        # all types share the coefficients of quantities that all of them have
        is_of_types = center == "atom_pair" or is_atomic_basis
        are_shared = not (self.has_own_weights and is_of_types)
        if center == "atom" and not are_shared and self.functions is None:
            num_types = readouts["atom"].num_types
            self.functions = ScalarFunctions(
                self.num_products, num_types, NUM_FUNCTIONS
            )
        readouts[center].add(name, blocks, exchange, are_shared)

    def heads(self) -> Dict[str, TargetHead]:
        """The heads of all targets."""
        readouts: Any = self.readouts.values()
        return {n: head for readout in readouts for n, head in readout.heads.items()}

    def keep_targets(self, names: Set[str]) -> None:
        """Remove all other targets, and what only they need."""
        readouts: Any = self.readouts  # mypy takes their attributes for tensors
        for readout in readouts.values():
            readout.keep(names)
        if not self.has_pairs(list(names)):
            self.atom_pairs = None
        if not self.reads_density(list(names)):
            self.neighbor_sum = None
        if not readouts["atom"].reads_functions(list(names)):
            self.functions = None

    def add_types(self, atomic_types: List[int], known: torch.Tensor) -> None:
        """Add atom types to a model with ``species: {type: tensor_reduced}``.

        :param atomic_types: all types, in ascending order.
        :param known: positions of the known types among them.
        """
        self.density.add_types(atomic_types, known)
        if self.messages is not None:
            self.messages.add_types(len(atomic_types), known)
        self.network.add_types(len(atomic_types), known)  # type: ignore[operator]
        readout: Any = self.readouts["atom"]
        readout.add_types(len(atomic_types), known)

    def reach(self) -> float:
        """The largest distance of atoms that a prediction depends on."""
        if self.long_range is not None or self.have_charges(list(self.heads())):
            return math.inf
        if len(self.inputs.names) > 0:  # which depend on the number of all atoms
            return math.inf
        steps = 1 + self.hypers["messages"]["layers"]
        if self.neighbor_sum is not None and self.reads_density(list(self.heads())):
            steps += 1
        reach = steps * float(self.hypers["expansion"]["cutoff"]["radius"])
        if self.atom_pairs is not None:
            reach += self.hypers["atom_pairs"]["cutoff"]
        return reach

    def is_calibrated(self) -> bool:
        """Whether there is nothing left for :meth:`calibrate` to set."""
        pairs = self.atom_pairs
        parts: List[Any] = [self.density, self.functions, pairs and pairs.functions]
        return all(part.is_calibrated for part in parts if part is not None)

    def calibrate(self, batches: Sequence[Structures]) -> None:
        """Set the scales of density, inputs, messages and scalars, unless already set.

        :param batches: typical structures, in batches.
        """
        if not self.density.is_calibrated:
            self.density.calibrate(batches, lambda batch: self.look(batch).density)
            self.inputs.calibrate([batch.systems for batch in batches])
            if self.messages is not None:
                self.messages.calibrate(batches, self.look)
            self.normalise.calibrate(self._describe_all(batches))
        if not self.is_calibrated():
            self._choose_units(batches)

    def _describe_all(self, batches: Sequence[Structures]) -> Iterator[Described]:
        """The features of all structures, batch by batch."""
        for batch in batches:
            yield self.describe(batch, list(self.heads()), self.look(batch))

    @torch.no_grad()
    def _choose_units(self, batches: Sequence[Structures]) -> None:
        """Choose the units of the scalars in which matrices are linear."""
        of_atoms: List[Moments] = []
        of_pairs: List[Moments] = []
        for batch, atoms in zip(batches, self._describe_all(batches), strict=True):
            if self.functions is not None:
                of_atoms.append(self.functions.moments(atoms.invariants, batch.types))
            if self.atom_pairs is not None:
                of_pairs.append(self.atom_pairs.moments(batch, atoms.density))
        if self.functions is not None:
            self.functions.calibrate(of_atoms)
        if self.atom_pairs is not None:
            self.atom_pairs.functions.calibrate(of_pairs)


def _of_first_atoms(
    draws: List[Dict[str, List[torch.Tensor]]],
    first: torch.Tensor,
    atoms: torch.Tensor,
    num_atoms: int,
) -> List[Dict[str, List[torch.Tensor]]]:
    """The values of pairs whose first atom is among ``atoms``."""
    is_selected = torch.zeros(num_atoms, dtype=torch.bool, device=first.device)
    is_selected[atoms] = True
    rows = torch.where(is_selected[first])[0]
    for values in draws:
        for name, blocks in values.items():
            values[name] = [block[rows] for block in blocks]
    return draws


def _united(
    first: List[Dict[str, List[torch.Tensor]]],
    second: List[Dict[str, List[torch.Tensor]]],
) -> List[Dict[str, List[torch.Tensor]]]:
    """The targets of both; some may have more members than others."""
    while len(first) < len(second):
        first.append(torch.jit.annotate(Dict[str, List[torch.Tensor]], {}))
    for values, others in zip(first, second):
        values.update(others)
    return first
