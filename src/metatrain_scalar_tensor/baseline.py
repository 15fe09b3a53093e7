"""What metatrain adds to a network: scale, composition baseline, ZBL.

Everything that depends on how metatrain keeps these parts is in this file, since a
redesign there moves them out of the architectures.
"""

import copy
from typing import Dict, List, Optional, Tuple, cast

import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import ModelOutput, System
from metatrain.composition import CompositionModel
from metatrain.scaler import Scaler
from metatrain.utils.additive import ZBL
from metatrain.utils.architectures import get_default_hypers
from metatrain.utils.data import DatasetInfo
from metatrain.utils.data.atomic_basis_helpers import (
    densify_atomic_basis_dataset_info,
    sparsify_atomic_basis_target,
)
from metatrain.utils.sum_over_atoms import sum_over_atoms

from .isotropic import IsotropicComposition, has_isotropic_part
from .new_types import take_over
from .pair_scales import PairScales
from .systems import types_of_samples


class Baseline(torch.nn.Module):
    """From what the network is trained to give to what was asked for.

    In training mode contributions of atoms are summed where a structure's total is
    wanted. In evaluation mode they are also scaled, and the models that were taken off
    the targets are added.

    :param dataset_info: atomic types and targets.
    :param zbl: whether to add the ZBL repulsion of nuclei to energies.
    :raises ValueError: if there is no energy to which ZBL can be added.
    """

    new_types: List[int]
    atomic_targets: List[str]  # targets that are defined atom by atom
    atomic_basis_targets: List[str]

    def __init__(self, dataset_info: DatasetInfo, zbl: bool) -> None:
        super().__init__()
        self.dataset_info = dataset_info
        self.zbl = zbl
        self.new_types: List[int] = []  # to be fitted: places among all types
        self.atomic_targets = self._targets_of("atom")
        self.atomic_basis_targets = self._targets_on_atomic_basis()
        self.pair_scales = PairScales(self._pair_layouts())
        of_atoms = without_pairs(dataset_info)
        self.scaler = Scaler(get_default_hypers("scaler")["model"], of_atoms)
        self.additive_models = torch.nn.ModuleList(
            [
                CompositionModel.from_valid_targets(
                    dataset_info, dataset_info.atomic_types
                )
            ]
        )
        self.cutoff_radius = 0.0
        if zbl:
            targets = {
                name: info
                for name, info in dataset_info.targets.items()
                if ZBL.is_valid_target(name, info)
            }
            if len(targets) == 0:
                raise ValueError(
                    "'zbl: true' needs a target that is an energy in eV, and there is "
                    "none: convert the energies, or set it to false"
                )
            zbl_info = DatasetInfo(
                dataset_info.length_unit, dataset_info.atomic_types, targets
            )
            repulsion = ZBL({}, zbl_info)
            self.additive_models.append(repulsion)
            self.cutoff_radius = float(repulsion.cutoff_radius)
        self._add_isotropic_composition(of_atoms)

    def _targets_of(self, sample_kind: str) -> List[str]:
        return [
            name
            for name, info in self.dataset_info.targets.items()
            if info.sample_kind == sample_kind
        ]

    def _targets_on_atomic_basis(self) -> List[str]:
        targets = self.dataset_info.targets
        return [name for name, info in targets.items() if info.is_atomic_basis]

    def _pair_layouts(self) -> Dict[str, TensorMap]:
        targets = densify_atomic_basis_dataset_info(self.dataset_info).targets
        return {name: targets[name].layout for name in self._targets_of("atom_pair")}

    def forward(
        self,
        systems: List[System],
        outputs: Dict[str, ModelOutput],
        predictions: Dict[str, TensorMap],
        selected_atoms: Optional[Labels],
    ) -> Dict[str, TensorMap]:
        """Finish the predictions.

        :param systems: structures.
        :param outputs: the outputs that were asked for.
        :param predictions: the same outputs as the network gives them, with atoms as
            samples.
        :param selected_atoms: atoms that the predictions are for; all by default.
        :return: the outputs.
        """
        # Atomic targets have a scale for each type of atom: they are summed after
        # scaling. All others before, so that large composition energies are not rounded
        # atom by atom.
        summed: List[str] = []
        for name in list(predictions.keys()):
            if (
                outputs[name].sample_kind == "system"
                and name not in self.atomic_targets
            ):
                predictions[name] = sum_over_atoms(predictions[name])
                summed.append(name)
        if not self.training:
            predictions = self.scaler.apply_scales(
                systems, predictions, selected_atoms=selected_atoms
            )
            predictions = self._sparsify(systems, predictions)
            for model in self.additive_models:
                known: Dict[str, ModelOutput] = {}
                of_basis: Dict[str, ModelOutput] = {}
                for name in predictions.keys():
                    if name in model.outputs:  # type: ignore[operator]
                        if name in self.atomic_basis_targets:
                            of_basis[name] = ModelOutput(sample_kind="atom")
                        else:
                            known[name] = ModelOutput(sample_kind="atom")
                values = model(systems, known, selected_atoms)
                if len(of_basis) > 0:  # metatrain can't select atoms of these
                    values.update(model(systems, of_basis, None))
                for name, value in values.items():
                    if name in summed:
                        value = sum_over_atoms(value)
                    predictions[name] = add_matching_blocks(predictions[name], value)
        for name in self.atomic_targets:
            if name in outputs and outputs[name].sample_kind == "system":
                predictions[name] = sum_over_atoms(predictions[name])
        return predictions

    @torch.jit.export
    def of_pairs(
        self, systems: List[System], predictions: Dict[str, TensorMap]
    ) -> Dict[str, TensorMap]:
        """Finish the predictions for pairs of atoms, which have no additive models.

        :param systems: structures.
        :param predictions: outputs as the network gives them, with pairs as samples.
        :return: the outputs.
        """
        predictions = self.pair_scales(predictions, not self.training)
        if not self.training:
            predictions = self._sparsify(systems, predictions)
        return predictions

    def _sparsify(
        self, systems: List[System], predictions: Dict[str, TensorMap]
    ) -> Dict[str, TensorMap]:
        """Give atomic-basis targets the layout with the types of atoms as keys."""
        for name, info in self.dataset_info.targets.items():
            if name in predictions and info.is_atomic_basis:
                samples = predictions[name].block(0).samples
                # metatrain expects a sample for every atom unless it is told of which
                # types they are, and pairs in every structure
                types: Optional[torch.Tensor] = None
                with_samples = systems
                if "atom" in samples.names:
                    types = types_of_samples(systems, samples)
                elif len(samples) > 0:
                    system = samples.column("system").to(torch.int64)
                    present: List[int] = torch.unique(system).tolist()
                    with_samples = [systems[i] for i in present]
                predictions[name] = sparsify_atomic_basis_target(
                    with_samples, predictions[name], info.layout, types
                )
        return predictions

    def restart(self, dataset_info: DatasetInfo, merged_info: DatasetInfo) -> None:
        """Make room for new targets.

        :param dataset_info: the data to go on with.
        :param merged_info: these and the data so far.
        """
        self.dataset_info = merged_info
        self.atomic_targets = self._targets_of("atom")
        self.atomic_basis_targets = self._targets_on_atomic_basis()
        self.pair_scales.add(self._pair_layouts())
        dataset_info = without_pairs(dataset_info)
        merged_info = without_pairs(merged_info)
        self.scaler = self.scaler.restart(dataset_info)
        # metatrain keeps the new targets only, and then stumbles over the old ones when
        # it fits the new scales to data that have both
        merged_targets = densify_atomic_basis_dataset_info(merged_info).targets
        self.scaler.target_infos = dict(merged_targets)
        restart_info = DatasetInfo(
            dataset_info.length_unit, merged_info.atomic_types, dataset_info.targets
        )
        composition = cast(CompositionModel, self.additive_models[0])
        self.additive_models[0] = composition.restart(restart_info)
        isotropic = self.isotropic_composition()
        if isotropic is None:
            self._add_isotropic_composition(restart_info)
        else:
            isotropic.restart(restart_info)

    def with_types(self, atomic_types: List[int], known: torch.Tensor) -> "Baseline":
        """The same for more types of atoms, those that are new to be fitted.

        :param atomic_types: all types, in ascending order.
        :param known: places of the known types among them.
        """
        info = self.dataset_info
        info = DatasetInfo(info.length_unit, atomic_types, info.targets)
        baseline = Baseline(info, self.zbl)
        take_over(self, baseline, known)
        baseline.load_tensor_maps()
        baseline.to(self.scaler.dummy_buffer.device)
        baseline.new_types = sorted(set(range(len(atomic_types))) - set(known.tolist()))
        return baseline

    def _add_isotropic_composition(self, dataset_info: DatasetInfo) -> None:
        if any(has_isotropic_part(*item) for item in dataset_info.targets.items()):
            self.additive_models.append(IsotropicComposition(dataset_info))

    def isotropic_composition(self) -> Optional[IsotropicComposition]:
        """The model of isotropic parts, where there are any."""
        for model in self.additive_models:
            if isinstance(model, IsotropicComposition):
                return model
        return None

    def composition_models(self) -> List[CompositionModel]:
        """All models of metatrain's that hold weights of types."""
        return [m for m in self.modules() if isinstance(m, CompositionModel)]

    def move_tensor_maps(self, device: torch.device) -> None:
        """Move the TensorMaps, of which ``to`` knows nothing, in float64."""
        for composition in self.composition_models():
            composition.weights_to(device, torch.float64)
        self.scaler.scales_to(device, torch.float64)

    def load_tensor_maps(self) -> None:
        """Rebuild the TensorMaps from the buffers of a loaded state."""
        for composition in self.composition_models():
            composition.sync_tensor_maps()
        self.scaler.sync_tensor_maps()

    def float64_copy_on_cpu(self) -> Tuple[torch.nn.ModuleList, Scaler]:
        """The additive models and the scaler, for the transforms of the data."""
        device = self.scaler.dummy_buffer.device
        self.move_tensor_maps(torch.device("cpu"))
        additive_models = copy.deepcopy(self.additive_models).to("cpu", torch.float64)
        scaler = copy.deepcopy(self.scaler).to("cpu", torch.float64)
        self.move_tensor_maps(device)
        return additive_models, scaler


def without_pairs(info: DatasetInfo) -> DatasetInfo:
    """The same data without targets of pairs, of which metatrain's parts know nothing.

    :param info: atomic types and targets.
    """
    targets = {
        name: target
        for name, target in info.targets.items()
        if target.sample_kind != "atom_pair"
    }
    return DatasetInfo(info.length_unit, info.atomic_types, targets)


def add_matching_blocks(prediction: TensorMap, contribution: TensorMap) -> TensorMap:
    """Add a contribution that may lack some of the blocks of the prediction.

    :param prediction: what to add to.
    :param contribution: what to add, such as a composition baseline, which has scalar
        blocks only; same components and properties, and the same samples or more.
    :return: the sum, with the blocks of the prediction.
    """
    blocks: List[TensorBlock] = []
    for key, block in prediction.items():
        values = block.values
        if key in contribution.keys:
            other = contribution.block(key)
            added = other.values.to(values)
            if len(added) != len(values):
                added = added[other.samples.select(block.samples)]
            values = values + added
        blocks.append(
            TensorBlock(values, block.samples, block.components, block.properties)
        )
    return TensorMap(prediction.keys, blocks)
