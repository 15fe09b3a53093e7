"""Fitting what is taken off the targets before the network sees them."""

from typing import Any, Dict, List, cast

from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import System
from metatrain.composition import CompositionModel, train_or_load_composition_model
from metatrain.composition.documentation import FixedCompositionWeights
from metatrain.scaler import train_or_load_scaler
from metatrain.utils.data import Dataset

from ..baseline import Baseline
from ..documentation import TrainerHypers
from ..isotropic import IsotropicComposition, IsotropicPart
from ..new_types import fit_again, fit_only
from .checks import Datasets
from .processes import Processes


def fit_baseline(
    baseline: Baseline,
    hypers: TrainerHypers,
    train_datasets: Datasets,
    processes: Processes,
    checkpoint_dir: str,
) -> None:
    """Fit composition models and scales to the training set, or load them.

    Targets that have theirs already, from an earlier training, keep them; where there
    are new types of atoms, only these are fitted.

    :param baseline: what to fit; it is in float64 from here on.
    :param hypers: hyperparameters of the training.
    :param train_datasets: training sets.
    :param processes: the processes that share them.
    :param checkpoint_dir: where metatrain keeps a copy.
    :raises ValueError: if the scaler is to be loaded without its composition model.
    """
    atomic_baseline = hypers["atomic_baseline"]
    scaling_weights = hypers["fixed_scaling_weights"]
    if isinstance(scaling_weights, str) and not isinstance(atomic_baseline, str):
        raise ValueError(
            "'fixed_scaling_weights' is the path of a scaler, which was fitted "
            "together with a composition model: give the path of that one as "
            "'atomic_baseline'"
        )
    baseline.double()
    weights_so_far = [_weights(model) for model in baseline.composition_models()]
    if baseline.new_types:
        for model in baseline.composition_models():
            fit_again(model)
    shared: Dict[str, Any] = {
        "batch_size": hypers["batch_size"],
        "is_distributed": processes.is_distributed,
    }
    isotropic = baseline.isotropic_composition()
    if isotropic is not None:
        isotropic_baseline: FixedCompositionWeights = {}
        if isinstance(atomic_baseline, dict):
            atomic_baseline = dict(atomic_baseline)  # to leave the hypers as they are
            for name in isotropic.outputs.keys() & atomic_baseline.keys():
                isotropic_baseline[name] = atomic_baseline.pop(name)
        _fit_isotropic(isotropic, isotropic_baseline, train_datasets, shared)
    shared["train_datasets"] = train_datasets
    shared["checkpoint_dir"] = checkpoint_dir
    train_or_load_composition_model(
        composition_model=baseline.additive_models[0],
        atomic_baseline=atomic_baseline,
        other_additive_models=list(baseline.additive_models[1:]),
        **shared,
    )
    if baseline.new_types:
        for model, weights in zip(baseline.composition_models(), weights_so_far):
            fit_only(model, weights, baseline.new_types)
    if hypers["scale_targets"]:
        train_or_load_scaler(
            scaler=baseline.scaler,
            fixed_weights=scaling_weights,
            additive_models=baseline.additive_models,
            per_structure_targets=hypers["per_structure_targets"],
            **shared,
        )


def _weights(composition: CompositionModel) -> Dict[str, TensorMap]:
    """Weights of the targets that were fitted earlier."""
    return {
        name: weights.copy()
        for name, weights in composition.model.weights.items()
        if name not in composition._new_outputs
    }


def _fit_isotropic(
    isotropic: IsotropicComposition,
    fixed_weights: FixedCompositionWeights,
    train_datasets: Datasets,
    shared: Dict[str, Any],
) -> None:
    weights: Datasets = []
    for name in isotropic.composition.target_infos:  # those not fitted as yet
        of_target = isotropic_weights(isotropic, name, train_datasets)
        weights += of_target
        if len(of_target) == 0:  # not one complete tensor
            fixed_weights.setdefault(name, 0.0)
    train_or_load_composition_model(
        composition_model=isotropic.composition,
        atomic_baseline=fixed_weights,
        train_datasets=weights,
        other_additive_models=[],
        **shared,
    )


def isotropic_weights(
    isotropic: IsotropicComposition, name: str, datasets: Datasets
) -> Datasets:
    """The isotropic parts of a target in the data.

    metatrain's fit knows no missing values, so these are left out: structures without a
    value and, where the target is one of atoms, atoms without a value.

    :param isotropic: the model that is to be fitted.
    :param name: name of the target.
    :param datasets: data that may have the target.
    :return: structures and weights, for every dataset that has a value.
    """
    part = cast(IsotropicPart, isotropic.parts[name])
    results: Datasets = []
    dataset: Any  # torch's Subset does not say that it can be iterated over
    for dataset in datasets:
        systems: List[System] = []
        weights: List[TensorMap] = []
        for sample in dataset:
            if name in sample._fields:
                system, block = sample["system"], part.weights_of(sample[name])
                known = block.values.isfinite().all(1)
                samples = Labels(block.samples.names, block.samples.values[known])
                if len(samples) > 0:
                    systems.append(_with_atoms_of(samples, system))
                    block = TensorBlock(
                        block.values[known], samples, [], block.properties
                    )
                    weights.append(TensorMap(Labels.single(), [block]))
        if len(systems) > 0:
            results.append(Dataset.from_dict({"system": systems, name: weights}))
    return results


def _with_atoms_of(samples: Labels, system: System) -> System:
    """The structure without the atoms that no sample is of."""
    if "atom" not in samples.names:
        return system
    atoms = samples.column("atom")
    return System(system.types[atoms], system.positions[atoms], system.cell, system.pbc)
