"""What metatrain and metatomic ask of the model besides its forward pass."""

from typing import TYPE_CHECKING, Any, Dict, List, Literal, Optional, Set

import torch
from metatomic.torch import (
    AtomisticModel,
    ModelCapabilities,
    ModelMetadata,
    ModelOutput,
    NeighborListOptions,
)
from metatrain.utils.abc import ModelInterface
from metatrain.utils.architectures import get_default_hypers
from metatrain.utils.data import DatasetInfo, TargetInfo
from metatrain.utils.data.atomic_basis_helpers import densify_atomic_basis_dataset_info
from metatrain.utils.dtype import dtype_to_str
from metatrain.utils.hypers import raise_if_hypers_mismatch
from metatrain.utils.long_range import LongRangeFeaturizer
from metatrain.utils.metadata import merge_metadata
from typing_extensions import Self

from . import checkpoints
from .atom_pairs import AtomPairs
from .baseline import Baseline
from .basis import TensorBases
from .coefficients import Network
from .density import Density, EdgeFunctions, NeighborSum
from .documentation import ModelHypers
from .new_types import check_types_can_be_added
from .size import check_size
from .systems import TypeIndex


ARCHITECTURE = "experimental.scalar_tensor"


class MetatrainModel(ModelInterface[ModelHypers]):
    """Outputs, neighbor lists, checkpoints, restart and export.

    The parts of the model that these need are made by ``ScalarTensor``.
    """

    last_layer_names: Dict[str, str]  # of every target of atoms
    last_layer_parameter_names: Dict[str, List[str]]

    if TYPE_CHECKING:  # TorchScript takes annotations of modules for attributes
        atomic_types: List[int]
        type_index: TypeIndex
        density: Density
        edges: EdgeFunctions
        network: Network
        long_range: Optional[LongRangeFeaturizer]
        neighbors: Optional[NeighborSum]
        bases: TensorBases
        heads: torch.nn.ModuleDict
        atom_pairs: Optional[AtomPairs]
        baseline: Baseline
        has_new_weights: bool
        outputs: Dict[str, ModelOutput]

    __checkpoint_version__ = 1
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

    def add_target(self, name: str, info: TargetInfo) -> None:
        """Register a target, see ``ScalarTensor``."""
        raise NotImplementedError

    def supported_outputs(self) -> Dict[str, ModelOutput]:
        """All outputs that can be requested."""
        return self.outputs

    def requested_neighbor_lists(self) -> List[NeighborListOptions]:
        """The neighbor lists that ``forward`` reads."""
        lists = self.density.requested_neighbor_lists()
        lists.append(self.edges.neighbor_list)
        if self.long_range is not None:
            lists.append(self.long_range.neighbor_list_options)
        if self.atom_pairs is not None:
            lists.append(self.atom_pairs.neighbor_list)
        return lists

    def restart(
        self, dataset_info: DatasetInfo, model_hypers: Optional[Dict[str, Any]] = None
    ) -> Self:
        """Go on with a trained model, possibly with further targets.

        :param dataset_info: the data to go on with.
        :param model_hypers: hyperparameters asked for, which must be the model's own.
        :return: this model.
        :raises ValueError: if the hyperparameters differ, if the data have atomic types
            that the model does not know and can't learn, or if the model would become
            too large.
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
        check_size(self.hypers, train_info)
        new_targets = [name for name in merged_info.targets if name not in self.outputs]
        for name in new_targets:
            self.add_target(name, train_info.targets[name])
        weights = next(self.network.parameters())
        for module in (self.bases, self.heads, self.atom_pairs):
            if module is not None:
                module.to(weights)
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
            if self.neighbors is not None and self._reads_density(
                list(self.bases.of_symmetry)
            ):
                steps += 1
            radius = float(self.hypers["expansion"]["cutoff"]["radius"])
            interaction_range = max(steps * radius, self.baseline.cutoff_radius)
            if self.atom_pairs is not None:
                interaction_range += self.hypers["atom_pairs"]["cutoff"]
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

    def keep_targets(self, names: List[str]) -> None:
        """Forget all other targets, and what only they need.

        :param names: the targets to keep.
        :raises ValueError: if the model does not have one of them.
        """
        targets = self.dataset_info.targets
        unknown = sorted(set(names) - set(targets))
        if len(unknown) > 0:
            raise ValueError(
                f"the model has no targets {unknown}, but {sorted(targets)}"
            )
        for name in sorted(set(targets) - set(names)):
            for output in (name, self.last_layer_names.pop(name, "")):
                self.outputs.pop(output, None)
            self.last_layer_parameter_names.pop(name, None)
            of_atoms = name in self.heads
            heads = self.heads if of_atoms else self.atom_pairs.heads  # type: ignore
            del heads[name]
        if self.atom_pairs is not None:
            if len(self.atom_pairs.heads) > 0:
                self.atom_pairs.bases.keep(_symmetries_of(self.atom_pairs.heads))
            else:
                self.atom_pairs = None
        self.bases.keep(_symmetries_of(self.heads))
        if not self._reads_density(list(self.bases.of_symmetry)):
            self.neighbors = None
        self.dataset_info = DatasetInfo(
            self.dataset_info.length_unit,
            self.atomic_types,
            {name: targets[name] for name in names},
        )
        self.baseline.keep_targets(self.dataset_info)

    def _reads_density(self, symmetries: List[str]) -> bool:
        """Whether targets of these symmetries, or of pairs, are made of the density."""
        return self.atom_pairs is not None or self.bases.read_density(symmetries)

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
    ) -> Self:
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
        """Refuse a checkpoint of another version: there was no release yet.

        :param checkpoint: checkpoint of any version.
        :return: the checkpoint, of the current version.
        :raises RuntimeError: if its version is another one.
        """
        return checkpoints.check_version(
            checkpoint, "model", cls.__checkpoint_version__
        )


def _symmetries_of(heads: Any) -> Set[str]:
    """The symmetries that some targets are made of."""
    return {name for head in heads.values() for name in head.basis_names}
