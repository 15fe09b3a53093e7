"""The model: density, invariants, coefficients, tensors, and their sum."""

from typing import Dict, List, Optional, Sequence, Tuple

import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import ModelOutput, System
from metatrain.utils.data import DatasetInfo, TargetInfo
from metatrain.utils.data.atomic_basis_helpers import densify_atomic_basis_dataset_info
from metatrain.utils.long_range import LongRangeFeaturizer

from .atom_pairs import AtomPairs, PairSurroundings
from .baseline import Baseline
from .basis import TensorBases
from .coefficients import make_network
from .density import Density, EdgeFunctions, Edges, NeighborSum
from .documentation import ModelHypers
from .exchange import exchange_symmetry
from .interface import MetatrainModel
from .invariants import make_invariants
from .messages import Messages
from .size import check_size
from .systems import (
    TypeIndex,
    atom_labels,
    check_finite,
    closest_distance,
    edge_vectors,
)
from .targets import TargetHead, check_name_and_unit, target_irreps


class ScalarTensor(MetatrainModel):
    r"""Invariant coefficients times equivariant tensors.

    .. math::
        y_i^{\lambda\sigma} = \sum_b c_b(p_i) \, B_b^{\lambda\sigma}(x_i)

    with the neighbor density :math:`x_i`, its power spectrum :math:`p_i`, coefficients
    :math:`c_b` from a neural network and tensors :math:`B_b` of the symmetry of the
    target: Domina, Bigi, Pegolo and Ceriotti, `arXiv:2505.05404
    <https://arxiv.org/abs/2505.05404>`_.

    :param hypers: hyperparameters of the model.
    :param dataset_info: atomic types, length unit and targets.
    :raises ValueError: if the model can't predict a target, saying why, or if it would
        be too large for any machine.
    """

    def __init__(self, hypers: ModelHypers, dataset_info: DatasetInfo) -> None:
        super().__init__(hypers, dataset_info, self.__default_metadata__)
        for name, info in dataset_info.targets.items():
            check_name_and_unit(name, info.unit)
        train_info = densify_atomic_basis_dataset_info(dataset_info)
        check_size(hypers, train_info)
        self.atomic_types = dataset_info.atomic_types
        num_types = len(self.atomic_types)

        self.type_index = TypeIndex(self.atomic_types)
        species = hypers["species"]
        self.edges = EdgeFunctions(
            hypers["expansion"], closest_distance(dataset_info.length_unit)
        )
        self.density = Density(
            hypers["expansion"], self.atomic_types, hypers["engine"], species
        )
        max_angular, num_channels = self.density.max_angular, self.density.num_channels
        self.messages = None
        if hypers["messages"]["layers"] > 0:
            self.messages = Messages(
                hypers["messages"], hypers["expansion"], num_channels
            )
        self.invariants = make_invariants(species, max_angular, num_types, num_channels)
        self.network = make_network(hypers["network"], num_types, self.invariants.size)
        num_features = self.network.width
        self.long_range = None
        if hypers["long_range"]["enable"]:
            self.long_range = LongRangeFeaturizer(
                hypers["long_range"], num_features, self.edges.neighbor_list
            )
        self.neighbors = None
        num_sums = hypers["tensor_basis"]["neighbors"]
        if num_sums is not None:
            self.neighbors = NeighborSum(hypers["expansion"], num_features, num_sums)
            num_channels += num_sums
        self.bases = TensorBases(hypers["tensor_basis"], max_angular, num_channels)
        self.heads = torch.nn.ModuleDict()  # one for every target of atoms
        self.atom_pairs = None

        self.outputs = {
            "feature": ModelOutput(
                sample_kind="atom", description="output of the network"
            )
        }
        self.single_key = Labels.single()
        self.feature_labels = Labels.range("feature", num_features)
        self.last_layer_names = {}
        # metatrain's LLPR reads these two
        self.last_layer_feature_size = num_features
        self.last_layer_parameter_names = {}
        for name, info in train_info.targets.items():
            self.add_target(name, info)
        for option in ("index_symmetry", "exchange_symmetry"):
            for name in set(hypers[option]) - set(dataset_info.targets):
                raise ValueError(
                    f"'model.{option}' has a target '{name}', and there are only "
                    f"{sorted(dataset_info.targets)}: correct the name, or take it out"
                )
        self.has_new_weights = False
        self.baseline = Baseline(dataset_info, hypers["zbl"])

    def forward(
        self,
        systems: List[System],
        outputs: Dict[str, ModelOutput],
        selected_atoms: Optional[Labels] = None,
    ) -> Dict[str, TensorMap]:
        """Predict the requested outputs.

        :param systems: structures, with the requested neighbor list.
        :param outputs: the outputs to compute: targets, ``feature`` or last-layer
            features; per atom or summed over the atoms of a structure.
        :param selected_atoms: atoms whose contributions to compute; all by default.
        :return: the outputs; in evaluation mode with scale and additive models, in
            training mode as the loss needs them.
        :raises ValueError: for structures that no model can be right for: without
            atoms, of unknown types, with atoms on top of each other or NaN positions.
        """
        if len(outputs) == 0:
            return {}
        center_type = self.type_index(systems)  # (atoms,)
        check_finite(systems)
        edges = self.edges(systems, center_type)  # functions of their vectors
        density = self.density(systems, center_type, edges)  # (atoms, 2l + 1, channels)
        return self.predict(
            density, edges, center_type, systems, outputs, selected_atoms
        )

    def predict(
        self,
        density: List[torch.Tensor],
        edges: Edges,
        center_type: torch.Tensor,
        systems: List[System],
        outputs: Dict[str, ModelOutput],
        selected_atoms: Optional[Labels],
    ) -> Dict[str, TensorMap]:
        """Predict the requested outputs from the density.

        :param density: for every ``l``, ``(atoms, 2l + 1, channels)``
        :param edges: the edges of the structures.
        :param center_type: index of the type of every atom, ``(atoms,)``
        :param systems: structures, with the requested neighbor list.
        :param outputs: the outputs to compute.
        :param selected_atoms: atoms whose contributions to compute; all by default.
        :return: the outputs, as :meth:`forward` gives them.
        """
        centers = atom_labels(systems)
        if self.messages is not None:
            density = self.messages(density, edges)
        invariants = self.invariants(density)  # (atoms, invariants)
        features = self.network(invariants, center_type)  # (atoms, features)
        if self.long_range is not None:
            vectors, _, _ = edge_vectors(systems, self.long_range.neighbor_list_options)
            distances = torch.sqrt(vectors.pow(2).sum(1))
            features = features + self.long_range(systems, features, distances)

        symmetries = self._symmetries(outputs)
        if self.neighbors is not None and self._reads_density(symmetries):
            sums = self.neighbors(features, edges)
            density = [torch.cat([x, y], dim=2) for x, y in zip(density, sums)]
        pairs: Dict[str, TensorMap] = {}
        if self.atom_pairs is not None:
            pairs = self.atom_pairs(systems, density, features, outputs, selected_atoms)
        if selected_atoms is not None:
            rows = centers.select(selected_atoms)
            centers = Labels(["system", "atom"], centers.values[rows])
            density = [x[rows] for x in density]
            features = features[rows]
            center_type = center_type[rows]

        bases = self.bases(density, symmetries)  # (atoms, 2λ + 1, tensors) each
        predictions = self._predict(features, bases, centers, systems, outputs)
        predictions = self.baseline(
            systems, outputs, predictions, center_type, selected_atoms
        )
        predictions.update(self.baseline.of_pairs(systems, pairs))
        return predictions

    def _symmetries(self, outputs: Dict[str, ModelOutput]) -> List[str]:
        """The symmetries of the tensors that the outputs are made of."""
        symmetries: List[str] = []
        for name, head in self.heads.items():
            if name in outputs:
                symmetries.extend(head.basis_names)  # type: ignore[arg-type]
        return symmetries

    def _predict(
        self,
        features: torch.Tensor,
        bases: Dict[str, torch.Tensor],
        centers: Labels,
        systems: List[System],
        outputs: Dict[str, ModelOutput],
    ) -> Dict[str, TensorMap]:
        """What every atom contributes to the outputs: coefficients times tensors."""
        predictions: Dict[str, TensorMap] = {}
        if "feature" in outputs:
            predictions["feature"] = self._feature_map(features, centers)
        for name, head in self.heads.items():
            last_layer_name = self.last_layer_names[name]
            if name in outputs or last_layer_name in outputs:
                last_layer = head.last_layer_features(features)  # type: ignore[operator]
                if last_layer_name in outputs:
                    predictions[last_layer_name] = self._feature_map(
                        last_layer, centers
                    )
                if name in outputs:
                    predictions[name] = head(last_layer, bases, centers, systems, None)
        return predictions

    @torch.jit.unused
    def calibrate(self, batches: Sequence[List[System]]) -> None:
        """Set the scales of density and messages, if that has not been done yet.

        :param batches: typical structures, with neighbor lists, some at a time.
        """

        def describe(systems: List[System]) -> Tuple[List[torch.Tensor], Edges]:
            center_type = self.type_index(systems)
            edges = self.edges(systems, center_type)
            return self.density(systems, center_type, edges), edges

        if not self.density.is_calibrated:
            self.density.calibrate(batches, lambda systems: describe(systems)[0])
            if self.messages is not None:
                self.messages.calibrate(batches, describe)

    def _feature_map(self, features: torch.Tensor, centers: Labels) -> TensorMap:
        device = features.device
        block = TensorBlock(features, centers, [], self.feature_labels.to(device))
        return TensorMap(self.single_key.to(device), [block])

    def add_target(self, name: str, info: TargetInfo) -> None:
        """Register a target, with the tensors that it needs.

        :param name: name of the target.
        :param info: the target, atomic-basis ones in their dense form.
        :raises ValueError: if the model can't predict it, saying why.
        """
        irreps = target_irreps(name, info, self.hypers["index_symmetry"].get(name))
        exchange = exchange_symmetry(name, info, self.hypers["exchange_symmetry"])
        if info.sample_kind == "atom_pair":
            if self.atom_pairs is None:
                surroundings = PairSurroundings(
                    self.hypers["atom_pairs"],
                    self.hypers["expansion"],
                    self.bases.num_inputs,
                    self.last_layer_feature_size,
                )
                self.atom_pairs = AtomPairs(surroundings, self.hypers["tensor_basis"])
            self.atom_pairs.add(name, info, irreps, exchange)
            self.outputs[name] = ModelOutput(
                unit=info.unit, sample_kind="atom_pair", description=info.description
            )
            return
        num_features = self.last_layer_feature_size
        head = TargetHead(name, info, irreps, num_features, self.bases, exchange)
        self.heads[name] = head
        self.outputs[name] = ModelOutput(
            unit=info.unit, sample_kind="atom", description=info.description
        )
        last_layer_name = f"mtt::aux::{name.replace('mtt::', '')}_last_layer_features"
        self.outputs[last_layer_name] = ModelOutput(
            sample_kind="atom", description=f"last-layer features of {name}"
        )
        self.last_layer_names[name] = last_layer_name
        if info.is_scalar:  # others are no linear function of the features alone
            self.last_layer_parameter_names[name] = [
                f"heads.{name}.{parameter}"
                for parameter, _ in head.named_parameters()
                if ".coefficients." in parameter
            ]
