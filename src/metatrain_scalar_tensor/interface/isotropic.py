"""The composition baseline of Cartesian tensors."""

from typing import Dict, List, Optional

import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import ModelOutput, System
from metatrain.composition import CompositionModel
from metatrain.utils.data import DatasetInfo, TargetInfo

from ..o3 import Irrep, cartesian_irreps, isotropic_tensors
from .names import is_stress


def with_isotropic_part(
    info: DatasetInfo, index_symmetry: Dict[str, str]
) -> DatasetInfo:
    """The Cartesian tensors that have an isotropic part, except stresses.

    The contributions of atom types to a stress would depend on the volume.

    :param info: all targets.
    :param index_symmetry: symmetries of Cartesian targets; traceless ones of rank 2
        have no isotropic part.
    """
    targets: Dict[str, TargetInfo] = {}
    for name, target in info.targets.items():
        if target.is_cartesian and not is_stress(name):
            rank = len(target.layout.block().components)
            irreps, _ = cartesian_irreps(rank, index_symmetry.get(name))
            if Irrep(0, 1) in irreps:
                targets[name] = target
    return DatasetInfo(info.length_unit, info.atomic_types, targets)


class IsotropicPart(torch.nn.Module):
    """Converts between scalar weights and isotropic tensors of a target.

    :param info: the target, Cartesian of even rank.
    """

    tensors: torch.Tensor  # (tensors, 3 · 3 · ...)

    def __init__(self, info: TargetInfo) -> None:
        super().__init__()
        block = info.layout.block()
        self.components = block.components
        self.properties = block.properties
        tensors = isotropic_tensors(len(self.components)).flatten(1)
        self.register_buffer("tensors", tensors, persistent=False)
        self.weight_labels = Labels.range("weight", len(tensors) * len(self.properties))

    def forward(self, weights: TensorMap) -> TensorMap:
        """Turn weights into tensors.

        :param weights: ``(samples, tensors · properties)``
        :return: the target, ``(samples, *components, properties)``
        """
        block = weights.block()
        device = block.values.device
        num_samples = block.values.shape[0]
        w = block.values.reshape(
            num_samples, self.tensors.shape[0], len(self.properties)
        )  # (samples, tensors, properties)
        values = self.tensors.to(w).T @ w  # (samples, 3 · 3 · ..., properties)
        tensors = TensorBlock(
            values.reshape(
                [num_samples] + [3] * len(self.components) + [len(self.properties)]
            ),
            block.samples,
            [component.to(device) for component in self.components],
            self.properties.to(device),
        )
        return TensorMap(weights.keys, [tensors])

    def weights_of(self, target: TensorMap) -> TensorMap:
        """The weights of the isotropic tensors that are closest to given ones.

        :param target: values of the target, ``(samples, *components, properties)``
        :return: the weights, ``(samples, tensors · properties)``; NaN where a component
            is missing.
        """
        block = target.block()
        values = block.values.flatten(1, -2)  # (samples, 3 · 3 · ..., properties)
        projection = torch.linalg.pinv(self.tensors.to(values).T)
        weights = (projection @ values).flatten(1)  # (samples, tensors · properties)
        weights_block = TensorBlock(weights, block.samples, [], self.weight_labels)
        return TensorMap(target.keys, [weights_block])


class IsotropicComposition(torch.nn.Module):
    r"""The composition baseline of Cartesian tensors of even rank.

    .. math::
        y_i = \sum_b w_{b t_i} T_b

    with the isotropic tensors :math:`T_b` of the rank (:math:`\delta_{ij}` for rank 2)
    and weights :math:`w` for each atom type :math:`t_i`. The weights belong to one of
    metatrain's composition models, in which they are scalar targets.

    :param dataset_info: atomic types and targets, all with an isotropic part.
    """

    outputs: Dict[str, ModelOutput]

    def __init__(self, dataset_info: DatasetInfo) -> None:
        super().__init__()
        self.parts = torch.nn.ModuleDict()  # one for every target
        self.composition = CompositionModel({}, self._add_parts(dataset_info))
        self.outputs = self.composition.outputs

    def _add_parts(self, dataset_info: DatasetInfo) -> DatasetInfo:
        """Register the targets, and describe their weights as scalar targets."""
        weights: Dict[str, TargetInfo] = {}
        for name, info in dataset_info.targets.items():
            part = IsotropicPart(info)
            samples = info.layout.block().samples
            layout = TensorBlock(
                torch.empty(0, len(part.weight_labels), dtype=torch.float64),
                samples,
                [],
                part.weight_labels,
            )
            weights[name] = TargetInfo(
                TensorMap(info.layout.keys, [layout]),
                unit=info.unit,
                description=info.description,
            )
            self.parts[name] = part
        return DatasetInfo(dataset_info.length_unit, dataset_info.atomic_types, weights)

    def forward(
        self,
        systems: List[System],
        outputs: Dict[str, ModelOutput],
        selected_atoms: Optional[Labels] = None,
    ) -> Dict[str, TensorMap]:
        """Predict the isotropic tensors of atoms, or their sums.

        :param systems: structures.
        :param outputs: the targets to predict.
        :param selected_atoms: atoms whose tensors to predict; all by default.
        """
        weights = self.composition(systems, outputs, selected_atoms)
        predictions: Dict[str, TensorMap] = {}
        for name, part in self.parts.items():
            if name in weights:
                predictions[name] = part(weights[name])
        return predictions

    def supported_outputs(self) -> Dict[str, ModelOutput]:
        """The targets that can be predicted."""
        return self.outputs

    def restart(self, dataset_info: DatasetInfo) -> None:
        """Add new targets; fitted targets keep their weights."""
        self.composition = self.composition.restart(self._add_parts(dataset_info))
