"""What metatrain adds to a network: scales, composition baseline, ZBL.

This file has what depends on how metatrain stores these parts, since a redesign there
will move them out of the architectures.
"""

import copy
from typing import Any, Dict, List, Optional, Tuple, cast

import metatensor.torch as mts
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

from ..documentation import ModelHypers
from .ensembles import ensemble_output
from .intensive import Intensive
from .isotropic import IsotropicComposition, with_isotropic_part
from .new_types import take_over
from .outputs import has_basis_functions, types_of_samples, without_samples
from .pair_scales import PairScales
from .type_tables import TargetTable


class Baseline(torch.nn.Module):
    """Turns the predictions of the network into the requested outputs.

    In training mode, contributions of atoms are summed if the total of a structure is
    requested. In evaluation mode, they are scaled first, what was subtracted from the
    targets is added, and intensive targets are divided by what they were multiplied
    with.

    :param dataset_info: atomic types and targets.
    :param hypers: hyperparameters of the model.
    :raises ValueError: if there is no energy to which ZBL can be added.
    """

    is_repulsion: List[bool]  # for every additive model

    def __init__(self, dataset_info: DatasetInfo, hypers: ModelHypers) -> None:
        super().__init__()
        self.dataset_info = dataset_info
        self.hypers = hypers
        self.intensive = Intensive(dict(hypers["intensive"]))
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
        if hypers["zbl"]:
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
        self.tables = torch.nn.ModuleDict()  # for every target of atoms or structures
        self.tabulate()

    def _pair_layouts(self) -> Dict[str, TensorMap]:
        targets = densify_atomic_basis_dataset_info(self.dataset_info).targets
        return {
            name: info.layout
            for name, info in targets.items()
            if info.sample_kind == "atom_pair"
        }

    def forward(
        self,
        systems: List[System],
        outputs: Dict[str, ModelOutput],
        predictions: Dict[str, TensorMap],
        center_type: torch.Tensor,
        selected_atoms: Optional[Labels],
        is_difference: bool = False,
    ) -> Dict[str, TensorMap]:
        """Finish the predictions.

        Sums are in float64, since the energies of many atoms need more digits than
        float32 has.

        :param systems: structures.
        :param outputs: the requested outputs.
        :param predictions: predictions of the network for these outputs, with atoms or
            pairs of atoms as samples.
        :param center_type: index of the type of each atom, ``(atoms,)``
        :param selected_atoms: atoms that the predictions are for; all by default.
        :param is_difference: whether they are differences of predictions, to which
            nothing is added.
        :return: the outputs, in the dtype of the structures.
        """
        # targets of pairs have no additive models
        predictions = self.pair_scales(predictions, not self.training)
        if not self.training:
            for name, table in self.tables.items():
                if name in predictions:
                    predictions[name] = table(
                        predictions[name], center_type, not is_difference
                    )
            if not is_difference:
                predictions = self._add_repulsion(systems, predictions, selected_atoms)
            predictions = self._sparsify(systems, predictions)
            predictions = self.intensive(predictions, systems, outputs)
        dtype = systems[0].positions.dtype
        for name in list(predictions.keys()):
            prediction = predictions[name]
            if outputs[name].sample_kind == "system":
                prediction = sum_over_atoms(prediction.to(dtype=torch.float64))
            predictions[name] = prediction.to(dtype=dtype)
        return predictions

    @torch.jit.export
    def ensembles(
        self,
        systems: List[System],
        outputs: Dict[str, ModelOutput],
        names: Dict[str, List[str]],
        draws: List[Dict[str, TensorMap]],
        center_type: torch.Tensor,
        selected_atoms: Optional[Labels],
    ) -> Dict[str, TensorMap]:
        """The requested outputs of ensembles.

        Every member is finished like the prediction, so that its contributions of atoms
        are summed before the spread is computed.

        :param systems: structures.
        :param outputs: the requested outputs.
        :param names: for every target with an ensemble, the names of its outputs.
        :param draws: predictions of the network, then for every member of the ensembles
            the differences from these.
        :param center_type: index of the type of each atom, ``(atoms,)``
        :param selected_atoms: atoms that the predictions are for; all by default.
        """
        results: Dict[str, TensorMap] = {}
        for target, of_target in names.items():
            for name in of_target:
                if name in outputs:
                    finished: List[TensorMap] = []
                    for i, draw in enumerate(draws):
                        if target in draw:
                            # of atoms or structures, whichever the prediction is of
                            of_draw = self.forward(
                                systems,
                                {target: outputs[name]},
                                {target: draw[target]},
                                center_type,
                                selected_atoms,
                                i > 0,
                            )
                            finished.append(of_draw[target])
                    results[name] = ensemble_output(name, finished)
        return results

    def _add_repulsion(
        self,
        systems: List[System],
        predictions: Dict[str, TensorMap],
        selected_atoms: Optional[Labels],
    ) -> Dict[str, TensorMap]:
        """Add the ZBL repulsion, if enabled; unlike the tables, it needs distances."""
        for i, model in enumerate(self.additive_models):
            if self.is_repulsion[i]:
                of_atoms: Dict[str, ModelOutput] = {}
                for name in predictions.keys():
                    if name in model.outputs:  # type: ignore[operator]
                        of_atoms[name] = ModelOutput(sample_kind="atom")
                for name, value in model(systems, of_atoms, selected_atoms).items():
                    predictions[name] = mts.add(
                        predictions[name], value.to(dtype=torch.float64)
                    )
        return predictions

    @torch.jit.unused
    def tabulate(self) -> None:
        """Fill the tables with the fitted models' values for a lone atom of each type.

        Evaluating metatrain's models directly would round their weights to the dtype of
        the structures and modify them, which is not thread-safe.
        """
        self.is_repulsion = [isinstance(model, ZBL) for model in self.additive_models]
        info = densify_atomic_basis_dataset_info(without_pairs(self.dataset_info))
        position, cell = torch.zeros(1, 3).double(), torch.zeros(3, 3).double()
        lone_atoms = [
            System(torch.tensor([t]), position, cell, torch.tensor(3 * [False]))
            for t in info.atomic_types
        ]
        models: Any  # mypy takes their methods for tensors
        models, scaler = self.float64_copy_on_cpu()
        models.train()  # for the dense form of atomic-basis targets
        scaler.train()
        outputs = {name: ModelOutput(sample_kind="atom") for name in info.targets}
        scales = scaler.get_scales(lone_atoms, outputs)
        shifts = {name: mts.zeros_like(scale) for name, scale in scales.items()}
        for model, is_repulsion in zip(models, self.is_repulsion, strict=True):
            if not is_repulsion:
                known = {n: o for n, o in outputs.items() if n in model.outputs}
                for name, shift in model(lone_atoms, known).items():
                    shifts[name] = add_matching_blocks(shifts[name], shift)
        for name, target in info.targets.items():
            table = TargetTable(target.layout, len(lone_atoms))
            block: Any
            for block, scale, shift in zip(
                table.blocks, scales[name].blocks(), shifts[name].blocks(), strict=True
            ):  # a scale is the same for all components
                of_first = scale.values.unsqueeze(1).flatten(1, -2)[:, 0]
                block.fill(of_first, shift.values)
            self.tables[name] = table.to(self.scaler.dummy_buffer.device)

    def _sparsify(
        self, systems: List[System], predictions: Dict[str, TensorMap]
    ) -> Dict[str, TensorMap]:
        """Convert atomic-basis targets to the layout with atom types as keys."""
        for name, info in self.dataset_info.targets.items():
            if name in predictions and info.is_atomic_basis:
                samples = predictions[name].block(0).samples
                if not has_basis_functions(info.layout, systems, samples):
                    predictions[name] = without_samples(info.layout, predictions[name])
                    continue
                # metatrain expects a sample for every atom, unless it gets the types of
                # the samples, and pairs in every structure
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
        """Add new targets.

        :param dataset_info: the data to continue with.
        :param merged_info: these data and those of earlier trainings.
        """
        self.dataset_info = merged_info
        self.pair_scales.add(self._pair_layouts())
        dataset_info = without_pairs(dataset_info)
        merged_info = without_pairs(merged_info)
        self.scaler = self.scaler.restart(dataset_info)
        # metatrain keeps only the new targets, and then fails on the old ones when it
        # fits the new scales to data that have both
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
            isotropic.restart(self._with_isotropic_part(restart_info))
        self.tabulate()

    def with_types(self, atomic_types: List[int], known: torch.Tensor) -> "Baseline":
        """A copy for more atom types, of which the new ones are still to be fitted.

        :param atomic_types: all types, in ascending order.
        :param known: positions of the known types among them.
        """
        info = self.dataset_info
        info = DatasetInfo(info.length_unit, atomic_types, info.targets)
        baseline = Baseline(info, self.hypers)
        take_over(self, baseline, known)
        baseline.load_tensor_maps()
        baseline.to(self.scaler.dummy_buffer.device)
        return baseline

    def keep_targets(self, dataset_info: DatasetInfo) -> None:
        """Remove the tables of targets that are not in ``dataset_info``."""
        self.dataset_info = dataset_info
        for tables in (self.tables, self.pair_scales.of_target):
            for name in set(tables) - set(dataset_info.targets):
                del tables[name]

    def _add_isotropic_composition(self, dataset_info: DatasetInfo) -> None:
        info = self._with_isotropic_part(dataset_info)
        if len(info.targets) > 0:
            self.additive_models.append(IsotropicComposition(info))

    def _with_isotropic_part(self, dataset_info: DatasetInfo) -> DatasetInfo:
        return with_isotropic_part(dataset_info, self.hypers["index_symmetry"])

    def isotropic_composition(self) -> Optional[IsotropicComposition]:
        """The model of isotropic parts, if there are any."""
        for model in self.additive_models:
            if isinstance(model, IsotropicComposition):
                return model
        return None

    def composition_models(self) -> List[CompositionModel]:
        """All of metatrain's models with a weight for each type."""
        return [m for m in self.modules() if isinstance(m, CompositionModel)]

    def move_tensor_maps(self, device: torch.device) -> None:
        """Move the TensorMaps, which ``to`` does not reach, in float64."""
        for composition in self.composition_models():
            composition.weights_to(device, torch.float64)
        self.scaler.scales_to(device, torch.float64)

    def load_tensor_maps(self) -> None:
        """Rebuild the TensorMaps from the buffers of a loaded state."""
        for composition in self.composition_models():
            composition.sync_tensor_maps()
        self.scaler.sync_tensor_maps()
        self.tabulate()

    def float64_copy_on_cpu(self) -> Tuple[torch.nn.ModuleList, Scaler]:
        """The additive models and the scaler, for the transforms of the data."""
        device = self.scaler.dummy_buffer.device
        self.move_tensor_maps(torch.device("cpu"))
        additive_models = copy.deepcopy(self.additive_models).to("cpu", torch.float64)
        scaler = copy.deepcopy(self.scaler).to("cpu", torch.float64)
        self.move_tensor_maps(device)
        return additive_models, scaler


def without_pairs(info: DatasetInfo) -> DatasetInfo:
    """The data without targets of pairs, which metatrain's parts do not support."""
    targets = {
        name: target
        for name, target in info.targets.items()
        if target.sample_kind != "atom_pair"
    }
    return DatasetInfo(info.length_unit, info.atomic_types, targets)


def add_matching_blocks(tensor: TensorMap, contribution: TensorMap) -> TensorMap:
    """Add a contribution with the same samples that may lack some of the blocks."""
    blocks: List[TensorBlock] = []
    for key, block in tensor.items():
        values = block.values
        if key in contribution.keys:
            values = values + contribution.block(key).values
        blocks.append(
            TensorBlock(values, block.samples, block.components, block.properties)
        )
    return TensorMap(tensor.keys, blocks)
