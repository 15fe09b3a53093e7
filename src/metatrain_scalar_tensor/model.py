"""The model, as metatrain and metatomic see it."""

from typing import Any, Dict, List, Literal, Optional

import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import (
    AtomisticModel,
    ModelCapabilities,
    ModelMetadata,
    ModelOutput,
    NeighborListOptions,
    System,
)
from metatrain.utils.abc import ModelInterface
from metatrain.utils.architectures import get_default_hypers
from metatrain.utils.data import DatasetInfo, TargetInfo
from metatrain.utils.data.atomic_basis_helpers import densify_atomic_basis_dataset_info
from metatrain.utils.dtype import dtype_to_str
from metatrain.utils.hypers import raise_if_hypers_mismatch
from metatrain.utils.long_range import LongRangeFeaturizer
from metatrain.utils.metadata import merge_metadata

from . import checkpoints
from .baseline import Baseline
from .basis import TensorBases
from .coefficients import make_network
from .density import Density, EdgeFunctions, NeighborSum
from .documentation import ModelHypers
from .invariants import make_invariants
from .messages import Messages
from .new_types import check_types_can_be_added
from .systems import TypeIndex, atom_labels, edge_vectors
from .targets import TargetHead, target_irreps


ARCHITECTURE = "experimental.scalar_tensor"


class ScalarTensor(ModelInterface[ModelHypers]):
    r"""Invariant coefficients times equivariant tensors.

    .. math::
        y_i^{\lambda\sigma} = \sum_b c_b(p_i) \, B_b^{\lambda\sigma}(x_i)

    with the neighbor density :math:`x_i`, its power spectrum :math:`p_i`, coefficients
    :math:`c_b` from a neural network and tensors :math:`B_b` of the symmetry of the
    target: Domina, Bigi, Pegolo and Ceriotti, `arXiv:2505.05404
    <https://arxiv.org/abs/2505.05404>`_.

    :param hypers: hyperparameters of the model.
    :param dataset_info: atomic types, length unit and targets.
    :raises ValueError: if the model can't predict a target, saying why.
    """

    last_layer_names: Dict[str, str]  # of every target

    __checkpoint_version__ = 4
    __supported_devices__ = ["cuda", "cpu"]
    __supported_dtypes__ = [torch.float32, torch.float64]
    __default_metadata__ = ModelMetadata(
        references={
            "implementation": [
                "featomic: https://github.com/metatensor/featomic",
            ],
            "architecture": [
                "scalar x tensor: https://doi.org/10.1063/5.0284802",
                "SOAP: https://doi.org/10.1103/PhysRevB.87.184115",
                "tensor-reduced: https://doi.org/10.1103/PhysRevLett.131.028001",
                "irreducible Cartesian messages: https://arxiv.org/abs/2405.14253",
            ],
        }
    )

    def __init__(self, hypers: ModelHypers, dataset_info: DatasetInfo) -> None:
        super().__init__(hypers, dataset_info, self.__default_metadata__)
        self.atomic_types = dataset_info.atomic_types
        num_types = len(self.atomic_types)

        self.type_index = TypeIndex(self.atomic_types)
        species = hypers["species"]
        self.density = Density(
            hypers["expansion"], self.atomic_types, hypers["engine"], species
        )
        max_angular, num_channels = self.density.max_angular, self.density.num_channels
        self.edges: Optional[EdgeFunctions] = None  # for those that need them
        num_layers = hypers["messages"]["layers"]
        num_neighbor_channels = hypers["tensor_basis"]["neighbors"]
        if num_layers > 0 or num_neighbor_channels is not None:
            self.edges = EdgeFunctions(hypers["expansion"])
        self.messages: Optional[Messages] = None
        if num_layers > 0:
            self.messages = Messages(
                hypers["messages"], hypers["expansion"], num_channels
            )
        self.invariants = make_invariants(species, max_angular, num_types, num_channels)
        self.network = make_network(hypers["network"], num_types, self.invariants.size)
        num_features = self.network.width
        self.long_range: Optional[LongRangeFeaturizer] = None
        if hypers["long_range"]["enable"]:
            # a list of its own, since the engine of the density may change on export
            options = NeighborListOptions(
                float(hypers["expansion"]["cutoff"]["radius"]),
                full_list=False,
                strict=True,
            )
            self.long_range = LongRangeFeaturizer(
                hypers["long_range"], num_features, options
            )
        self.neighbors: Optional[NeighborSum] = None
        if num_neighbor_channels is not None:
            self.neighbors = NeighborSum(
                hypers["expansion"], num_features, num_neighbor_channels
            )
            num_channels += num_neighbor_channels
        self.bases = TensorBases(hypers["tensor_basis"], max_angular, num_channels)
        self.heads = torch.nn.ModuleDict()  # one for every target

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
        self.last_layer_parameter_names: Dict[str, List[str]] = {}
        train_info = densify_atomic_basis_dataset_info(dataset_info)
        for name, info in train_info.targets.items():
            self._add_target(name, info)
        for name in set(hypers["index_symmetry"]) - set(dataset_info.targets):
            raise ValueError(
                f"'model.index_symmetry' has a target '{name}', and there are only "
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
        """
        if len(outputs) == 0:
            return {}
        center_type = self.type_index(systems)  # (atoms,)
        density = self.density(systems, center_type)  # l -> (atoms, 2l + 1, channels)
        return self.predict(density, center_type, systems, outputs, selected_atoms)

    def predict(
        self,
        density: List[torch.Tensor],
        center_type: torch.Tensor,
        systems: List[System],
        outputs: Dict[str, ModelOutput],
        selected_atoms: Optional[Labels],
    ) -> Dict[str, TensorMap]:
        """Predict the requested outputs from the density.

        :param density: for every ``l``, ``(atoms, 2l + 1, channels)``
        :param center_type: index of the type of every atom, ``(atoms,)``
        :param systems: structures, with the requested neighbor list.
        :param outputs: the outputs to compute.
        :param selected_atoms: atoms whose contributions to compute; all by default.
        :return: the outputs, as :meth:`forward` gives them.
        """
        centers = atom_labels(systems)
        if self.edges is not None:
            edges = self.edges(systems)
        if self.messages is not None:
            density = self.messages(density, edges)
        invariants = self.invariants(density)  # (atoms, invariants)
        features = self.network(invariants, center_type)  # (atoms, features)
        if self.long_range is not None:
            vectors, _, _ = edge_vectors(systems, self.long_range.neighbor_list_options)
            distances = torch.sqrt(vectors.pow(2).sum(1))
            features = features + self.long_range(systems, features, distances)

        if self.neighbors is not None:
            sums = self.neighbors(features, edges)
            density = [torch.cat([x, y], dim=2) for x, y in zip(density, sums)]
        if selected_atoms is not None:
            rows = centers.select(selected_atoms)
            centers = Labels(["system", "atom"], centers.values[rows])
            density = [x[rows] for x in density]
            features = features[rows]

        symmetries: List[str] = []
        for name, head in self.heads.items():
            if name in outputs:
                symmetries.extend(head.basis_names)  # type: ignore[arg-type]
        bases = self.bases(density, symmetries)  # (atoms, 2λ + 1, tensors) each
        predictions = self._predict(features, bases, centers, systems, outputs)
        return self.baseline(systems, outputs, predictions, selected_atoms)

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
                    predictions[name] = head(last_layer, bases, centers, systems)
        return predictions

    def calibrate(self, systems: List[System]) -> None:
        """Set the scales of density and messages, if that has not been done yet.

        :param systems: typical structures, such as the first batch of a training set.
        """
        if not self.density.is_calibrated:
            atom_type = self.type_index(systems)
            self.density.calibrate(systems, atom_type)
            if self.messages is not None and self.edges is not None:
                density = self.density(systems, atom_type)
                self.messages.calibrate(density, self.edges(systems))

    def _feature_map(self, features: torch.Tensor, centers: Labels) -> TensorMap:
        device = features.device
        block = TensorBlock(features, centers, [], self.feature_labels.to(device))
        return TensorMap(self.single_key.to(device), [block])

    def _add_target(self, name: str, info: TargetInfo) -> None:
        """Register a target, with the tensors that it needs."""
        symmetry = self.hypers["index_symmetry"].get(name)
        for block_irreps in target_irreps(name, info, symmetry):
            for irrep in block_irreps:
                try:
                    self.bases.add(irrep)
                except ValueError as error:
                    raise ValueError(f"target '{name}': {error}") from error
        head = TargetHead(
            name, info, self.last_layer_feature_size, self.bases, symmetry
        )
        self.heads[name] = head
        self.outputs[name] = ModelOutput(
            unit=info.unit, sample_kind="atom", description=info.description
        )
        last_layer_name = f"mtt::aux::{name.replace('mtt::', '')}_last_layer_features"
        self.outputs[last_layer_name] = ModelOutput(
            sample_kind="atom", description=f"last-layer features of {name}"
        )
        self.last_layer_names[name] = last_layer_name
        self.last_layer_parameter_names[name] = [
            f"heads.{name}.{parameter}"
            for parameter, _ in head.named_parameters()
            if ".coefficients." in parameter
        ]

    def supported_outputs(self) -> Dict[str, ModelOutput]:
        """All outputs that can be requested."""
        return self.outputs

    def requested_neighbor_lists(self) -> List[NeighborListOptions]:
        """The neighbor lists that ``forward`` reads."""
        lists = self.density.requested_neighbor_lists()
        if self.long_range is not None:
            lists.append(self.long_range.neighbor_list_options)
        if self.edges is not None:
            lists.append(self.edges.neighbor_list)
        return lists

    def restart(
        self, dataset_info: DatasetInfo, model_hypers: Optional[Dict[str, Any]] = None
    ) -> "ScalarTensor":
        """Go on with a trained model, possibly with further targets.

        :param dataset_info: the data to go on with.
        :param model_hypers: hyperparameters asked for, which must be the model's own.
        :return: this model.
        :raises ValueError: if the hyperparameters differ, or if the data have atomic
            types that the model does not know and can't learn.
        """
        if model_hypers is not None:
            raise_if_hypers_mismatch(
                self.hypers,
                model_hypers,
                default_hypers=get_default_hypers(ARCHITECTURE)["model"],
            )
        merged_info = self.dataset_info.union(dataset_info)  # type: ignore[has-type]
        has_new_types = merged_info.atomic_types != self.atomic_types
        if has_new_types:
            self._add_types(merged_info.atomic_types)
        train_info = densify_atomic_basis_dataset_info(merged_info)
        new_targets = [name for name in merged_info.targets if name not in self.heads]
        for name in new_targets:
            self._add_target(name, train_info.targets[name])
        weights = next(self.network.parameters())
        self.bases.to(weights)
        self.heads.to(weights)
        self.has_new_weights = has_new_types or len(new_targets) > 0
        self.dataset_info = merged_info
        self.baseline.restart(dataset_info, merged_info)
        return self

    def _add_types(self, atomic_types: List[int]) -> None:
        """Learn to know further types; what the model says of others does not change.

        :param atomic_types: all types, in ascending order.
        :raises ValueError: if there is more to a type than a row of a table.
        """
        check_types_can_be_added(self.hypers, self.atomic_types, atomic_types)
        known = torch.tensor([atomic_types.index(t) for t in self.atomic_types])
        self.density.add_types(atomic_types, known)
        self.network.add_types(len(atomic_types), known)  # type: ignore[operator]
        self.baseline = self.baseline.with_types(atomic_types, known)
        self.type_index = TypeIndex(atomic_types).to(self.density.scale.device)
        self.atomic_types = atomic_types

    def export(self, metadata: Optional[ModelMetadata] = None) -> AtomisticModel:
        """Wrap the model for metatomic's simulation engines.

        :param metadata: name, authors, description and references to add.
        :return: the model with its capabilities.
        """
        dtype = next(self.parameters()).dtype
        self.density.without_extensions()
        self.to(dtype)  # the baseline is in float64 during training
        self.baseline.move_tensor_maps(torch.device("cpu"))
        interaction_range = float("inf")
        if self.long_range is None:
            steps = 1 + self.hypers["messages"]["layers"]
            steps += 1 if self.neighbors is not None else 0
            radius = float(self.hypers["expansion"]["cutoff"]["radius"])
            interaction_range = max(steps * radius, self.baseline.cutoff_radius)
        capabilities = ModelCapabilities(
            outputs=self.outputs,
            atomic_types=self.atomic_types,
            interaction_range=interaction_range,
            length_unit=self.dataset_info.length_unit,
            supported_devices=self.__supported_devices__,
            dtype=dtype_to_str(dtype),
        )
        return AtomisticModel(
            self.eval(), merge_metadata(self.metadata, metadata), capabilities
        )

    def get_checkpoint(self) -> Dict[str, Any]:
        """Everything that :meth:`load_checkpoint` needs."""
        return {
            "architecture_name": ARCHITECTURE,
            "model_ckpt_version": self.__checkpoint_version__,
            "metadata": self.metadata,
            "model_data": {
                "model_hypers": self.hypers,
                "dataset_info": self.dataset_info,
            },
            "epoch": None,
            "best_epoch": None,
            "model_state_dict": self.state_dict(),
            "best_model_state_dict": self.state_dict(),
        }

    @classmethod
    def load_checkpoint(
        cls,
        checkpoint: Dict[str, Any],
        context: Literal["restart", "finetune", "export"],
    ) -> "ScalarTensor":
        """Create the model of a checkpoint.

        :param checkpoint: checkpoint, of the current version.
        :param context: ``restart`` takes the latest weights, ``finetune`` and
            ``export`` the best.
        :return: the model.
        :raises ValueError: for another context.
        """
        state = checkpoints.model_state(checkpoint, context)
        data = checkpoint["model_data"]
        model = cls(data["model_hypers"], data["dataset_info"])
        name, _ = next(model.named_parameters())
        model.to(state[name].dtype).load_state_dict(state)
        model.baseline.load_tensor_maps()
        model.metadata = merge_metadata(model.metadata, checkpoint.get("metadata"))
        return model

    @classmethod
    def upgrade_checkpoint(cls, checkpoint: Dict[str, Any]) -> Dict[str, Any]:
        """Bring a checkpoint of an older version to the current one.

        :param checkpoint: checkpoint of any version.
        :return: the checkpoint, of the current version.
        :raises RuntimeError: if its version is newer.
        """
        return checkpoints.upgrade(checkpoint, "model", cls.__checkpoint_version__)
