"""The architecture for metatrain and metatomic: systems in, TensorMaps out."""

from typing import Any, Dict, List, Literal, Optional, Sequence

import torch
from metatensor.torch import Labels, TensorMap
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
from metatrain.utils.metadata import merge_metadata
from typing_extensions import Self

from ..density import Surroundings
from ..documentation import ModelHypers
from ..model import Model
from ..readout import center_of, exchange_symmetry, target_blocks
from ..structures import StructureReader, Structures, closest_distance
from ..system_inputs import UNITS
from . import checkpoints
from .baseline import Baseline
from .ensembles import auxiliary_name, ensemble_outputs, requested_ensembles
from .names import check_name_and_unit, check_names_differ, check_names_in_options
from .new_types import check_types_can_be_added
from .outputs import TargetLabels, atom_labels, feature_maps, pair_labels
from .size import check_size


ARCHITECTURE = "experimental.scalar_tensor"
OPTIONS_OF_TARGETS = ("index_symmetry", "exchange_symmetry", "charges", "intensive")


class ScalarTensor(ModelInterface[ModelHypers]):
    """The model with everything that metatrain and metatomic need around it.

    :param hypers: hyperparameters of the model.
    :param dataset_info: atomic types, length unit and targets.
    :raises ValueError: if the model can't predict a target, saying why, or would be too
        large for any machine.
    """

    last_layer_names: Dict[str, str]  # of every target of atoms
    last_layer_parameter_names: Dict[str, List[str]]
    ensemble_names: Dict[str, List[str]]  # its outputs, for targets that have one

    __checkpoint_version__ = 2
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
        targets = dataset_info.targets
        for name, info in targets.items():
            check_name_and_unit(name, info.unit)
        check_names_differ(targets)
        check_names_in_options("model", hypers, OPTIONS_OF_TARGETS, sorted(targets))
        check_size(hypers, dataset_info)
        train_info = densify_atomic_basis_dataset_info(dataset_info)
        self.atomic_types = dataset_info.atomic_types
        self.model = Model(hypers, self.atomic_types)
        self.read = self._reader()
        self.outputs = {
            "feature": ModelOutput(
                sample_kind="atom", description="output of the network"
            )
        }
        self.single_key = Labels.single()
        self.feature_labels = Labels.range("feature", self.model.num_features)
        self.labels = torch.nn.ModuleDict()  # for every target
        self.last_layer_names = {}
        # metatrain's LLPR needs these two
        self.last_layer_feature_size = self.model.num_features
        self.last_layer_parameter_names = {}
        self.ensemble_names = {}
        for name, info in train_info.targets.items():
            self.add_target(name, info, targets[name].is_atomic_basis)
        self.has_new_weights = False
        self.baseline = Baseline(dataset_info, hypers)

    def _reader(self) -> StructureReader:
        closest = closest_distance(self.dataset_info.length_unit)
        neighbor_list = self.model.edges.neighbor_list
        return StructureReader(self.atomic_types, neighbor_list, closest)

    def add_target(self, name: str, info: TargetInfo, is_atomic_basis: bool) -> None:
        """Register a target, with the tensors that it needs.

        :param name: name of the target.
        :param info: the target, in dense form for atomic-basis targets.
        :param is_atomic_basis: whether it is one.
        :raises ValueError: if the model can't predict it, saying why.
        """
        center = center_of(info)
        blocks = target_blocks(name, info, self.hypers)
        exchange = exchange_symmetry(name, info, self.hypers["exchange_symmetry"])
        self.model.add_target(name, center, blocks, exchange, is_atomic_basis)
        self.labels[name] = TargetLabels(name, info)
        self.outputs[name] = ModelOutput(
            unit=info.unit, sample_kind=center, description=info.description
        )
        if center == "atom":
            last_layer_name = auxiliary_name(name, "last_layer_features")
            self.outputs[last_layer_name] = ModelOutput(
                sample_kind="atom", description=f"last-layer features of {name}"
            )
            self.last_layer_names[name] = last_layer_name
            if info.is_scalar:  # others are not linear in the features alone
                prefix = f"model.readouts.atom.heads.{name}"
                self.last_layer_parameter_names[name] = [
                    f"{prefix}.{parameter}"
                    for parameter, _ in self.get_submodule(prefix).named_parameters()
                    if parameter.startswith("coefficients.")
                ]

    def forward(
        self,
        systems: List[System],
        outputs: Dict[str, ModelOutput],
        selected_atoms: Optional[Labels] = None,
    ) -> Dict[str, TensorMap]:
        """Predict the requested outputs.

        :param systems: structures, with the requested neighbor lists.
        :param outputs: the outputs to compute: targets, their ensembles, ``feature`` or
            last-layer features; per atom or summed over the atoms of a structure.
        :param selected_atoms: atoms whose contributions to compute; all by default.
        :return: the outputs: in evaluation mode with scales and additive models, in
            training mode without, as the loss needs them.
        :raises ValueError: for structures without atoms, with unknown types, with atoms
            on top of each other, or with NaN or infinite positions.
        """
        if len(outputs) == 0:
            return {}
        return self.predict(self.read(systems), outputs, selected_atoms, None)

    @torch.jit.export
    def predict(
        self,
        structures: Structures,
        outputs: Dict[str, ModelOutput],
        selected_atoms: Optional[Labels],
        surroundings: Optional[Surroundings],
    ) -> Dict[str, TensorMap]:
        """Predict the requested outputs, as :meth:`forward`.

        :param structures: structures as tensors.
        :param outputs: the outputs to compute.
        :param selected_atoms: atoms whose contributions to compute; all by default.
        :param surroundings: surroundings of the structures, if already computed.
        """
        systems, center_type = structures.systems, structures.types
        centers = atom_labels(systems)
        atoms: Optional[torch.Tensor] = None
        if selected_atoms is not None:
            atoms = centers.select(selected_atoms)
            centers = Labels(centers.names, centers.values[atoms])
            center_type = center_type[atoms]
        ensembles = requested_ensembles(self.ensemble_names, outputs)
        targets = list(outputs.keys()) + ensembles
        prediction = self.model(structures, targets, atoms, surroundings, ensembles)

        pairs = self._pair_labels(systems, targets, selected_atoms)
        draws: List[Dict[str, TensorMap]] = []  # predictions, differences of members
        for values in [prediction.values] + prediction.members:
            draw: Dict[str, TensorMap] = {}
            for name, labels in self.labels.items():
                if name in values:
                    samples = centers if name in self.last_layer_names else pairs
                    draw[name] = labels(values[name], samples, systems)
            draws.append(draw)
        maps = self._feature_maps(prediction.features, centers, outputs)
        for name, map in draws[0].items():
            if name in outputs:
                maps[name] = map
        results = self.baseline(systems, outputs, maps, center_type, selected_atoms)
        names = self.ensemble_names
        spread = self.baseline.ensembles(
            systems, outputs, names, draws, center_type, selected_atoms
        )
        results.update(spread)
        return results

    def _pair_labels(
        self,
        systems: List[System],
        targets: List[str],
        selected_atoms: Optional[Labels],
    ) -> Labels:
        """Labels of the pairs of atoms, if there are targets of pairs."""
        atom_pairs = self.model.atom_pairs
        if atom_pairs is not None and self.model.has_pairs(targets):
            return pair_labels(systems, atom_pairs.neighbor_list, selected_atoms)
        return self.single_key

    def _feature_maps(
        self, features: torch.Tensor, centers: Labels, outputs: Dict[str, ModelOutput]
    ) -> Dict[str, TensorMap]:
        """The requested features and last-layer features."""
        wanted: Dict[str, torch.Tensor] = {}
        if "feature" in outputs:
            wanted["feature"] = features
        names: List[str] = []
        for name, last_layer_name in self.last_layer_names.items():
            if last_layer_name in outputs:
                names.append(name)
        last_layers = self.model.last_layer_features(features, names)
        for name, last_layer in last_layers.items():
            wanted[self.last_layer_names[name]] = last_layer
        return feature_maps(wanted, centers, self.feature_labels, self.single_key)

    @torch.jit.unused
    def offer_ensembles(self) -> None:
        """Offer the outputs of ensembles that the heads have now, and no others."""
        for names in self.ensemble_names.values():
            for name in names:
                del self.outputs[name]
        self.ensemble_names = {}
        for target, head in self.model.heads().items():
            if head.num_members() > 0:
                offered = ensemble_outputs(target, self.outputs[target])
                self.outputs.update(offered)
                self.ensemble_names[target] = list(offered)

    @torch.jit.unused
    def calibrate(self, batches: Sequence[List[System]]) -> None:
        """Set the scales of density, inputs, messages and pairs, unless already set.

        :param batches: typical structures, with neighbor lists, in batches.
        """
        self.model.calibrate([self.read(systems) for systems in batches])

    def supported_outputs(self) -> Dict[str, ModelOutput]:
        """All outputs that can be requested."""
        return self.outputs

    def requested_neighbor_lists(self) -> List[NeighborListOptions]:
        """The neighbor lists that ``forward`` reads."""
        return self.model.requested_neighbor_lists()

    def requested_inputs(self) -> Dict[str, ModelOutput]:
        """What ``forward`` reads of a structure besides its atoms."""
        return {
            name: ModelOutput(unit=UNITS[name], sample_kind="system")
            for name in self.hypers["system_inputs"]
        }

    def restart(
        self, dataset_info: DatasetInfo, model_hypers: Optional[Dict[str, Any]] = None
    ) -> Self:
        """Prepare a trained model for further training, possibly with new targets.

        :param dataset_info: the data to continue with.
        :param model_hypers: requested hyperparameters, which must equal the model's.
        :return: this model.
        :raises ValueError: if the hyperparameters differ, if the data have atomic types
            that the model does not know and can't learn, if names of targets collide,
            or if the model would become too large.
        """
        if model_hypers is not None:
            raise_if_hypers_mismatch(
                self.hypers,
                model_hypers,
                default_hypers=get_default_hypers(ARCHITECTURE)["model"],
            )
        merged_info = self.dataset_info.union(dataset_info)  # type: ignore[has-type]
        check_names_differ(merged_info.targets)
        has_new_types = merged_info.atomic_types != self.atomic_types
        if has_new_types:
            self._add_types(merged_info.atomic_types)
        check_size(self.hypers, merged_info)
        train_info = densify_atomic_basis_dataset_info(merged_info)
        new_targets = [name for name in merged_info.targets if name not in self.outputs]
        for name in new_targets:
            is_atomic_basis = merged_info.targets[name].is_atomic_basis
            self.add_target(name, train_info.targets[name], is_atomic_basis)
        self.model.to(next(self.model.network.parameters()))
        self.has_new_weights = has_new_types or len(new_targets) > 0
        self.dataset_info = merged_info
        self.baseline.restart(dataset_info, merged_info)
        return self

    def _add_types(self, atomic_types: List[int]) -> None:
        """Add types; predictions for known types are unchanged."""
        check_types_can_be_added(self.hypers, self.atomic_types, atomic_types)
        known = torch.tensor([atomic_types.index(t) for t in self.atomic_types])
        self.model.add_types(atomic_types, known)
        self.offer_ensembles()
        self.baseline = self.baseline.with_types(atomic_types, known)
        self.atomic_types = atomic_types
        self.read = self._reader().to(self.model.density.scale.device)

    def export(self, metadata: Optional[ModelMetadata] = None) -> AtomisticModel:
        """Wrap the model for metatomic's simulation engines.

        :param metadata: name, authors, description and references to add.
        """
        dtype = next(self.parameters()).dtype
        self.model.density.without_extensions()
        self.to(dtype)  # the baseline is in float64 during training
        self.baseline.move_tensor_maps(torch.device("cpu"))
        capabilities = ModelCapabilities(
            outputs=self.outputs,
            atomic_types=self.atomic_types,
            interaction_range=max(self.model.reach(), self.baseline.cutoff_radius),
            length_unit=self.dataset_info.length_unit,
            supported_devices=self.__supported_devices__,
            dtype=dtype_to_str(dtype),
        )
        return AtomisticModel(
            self.eval(), merge_metadata(self.metadata, metadata), capabilities
        )

    def keep_targets(self, names: List[str]) -> None:
        """Remove all other targets, and what only they need.

        :param names: the targets to keep.
        :raises ValueError: if the model lacks one of them.
        """
        targets = self.dataset_info.targets
        unknown = sorted(set(names) - set(targets))
        if len(unknown) > 0:
            raise ValueError(
                f"the model has no targets {unknown}, but {sorted(targets)}"
            )
        for name in set(targets) - set(names):
            for output in (name, self.last_layer_names.pop(name, "")):
                self.outputs.pop(output, None)
            self.last_layer_parameter_names.pop(name, None)
            del self.labels[name]
        self.model.keep_targets(set(names))
        self.offer_ensembles()
        self.dataset_info = DatasetInfo(
            self.dataset_info.length_unit,
            self.atomic_types,
            {name: targets[name] for name in names},
        )
        self.baseline.keep_targets(self.dataset_info)

    def get_checkpoint(self) -> Dict[str, Any]:
        """Everything that :meth:`load_checkpoint` needs."""
        return checkpoints.of_model(ARCHITECTURE, self)

    @classmethod
    def load_checkpoint(
        cls,
        checkpoint: Dict[str, Any],
        context: Literal["restart", "finetune", "export"],
    ) -> Self:
        """Create a model from a checkpoint.

        :param checkpoint: checkpoint of the current version.
        :param context: ``restart`` takes the latest weights, ``finetune`` and
            ``export`` the best.
        :raises ValueError: for any other context.
        """
        state = checkpoints.model_state(checkpoint, context)
        data = checkpoint["model_data"]
        model = cls(data["model_hypers"], data["dataset_info"])
        name, _ = next(model.named_parameters())
        model.to(state[name].dtype).load_state_dict(state)
        model.offer_ensembles()
        model.baseline.load_tensor_maps()
        model.metadata = merge_metadata(model.metadata, checkpoint.get("metadata"))
        return model

    @classmethod
    def upgrade_checkpoint(cls, checkpoint: Dict[str, Any]) -> Dict[str, Any]:
        """Return a checkpoint in the current version, made from that of an older one.

        :raises RuntimeError: if the checkpoint has an unknown version.
        """
        return checkpoints.upgraded(checkpoint, "model", cls.__checkpoint_version__)
