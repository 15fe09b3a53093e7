"""Fits the baselines and scales of the targets."""

import itertools
import logging
from typing import Any, Callable, Dict, Iterable, List, Tuple, Union, cast

import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import System
from metatrain.composition import CompositionModel, train_or_load_composition_model
from metatrain.composition.documentation import FixedCompositionWeights
from metatrain.scaler import train_or_load_scaler
from metatrain.utils.data import Dataset, TargetInfo
from metatrain.utils.data.atomic_basis_helpers import densify_atomic_basis_target

from ..training.documentation import TrainerHypers
from .architecture import ScalarTensor
from .baseline import Baseline
from .isotropic import IsotropicComposition, IsotropicPart
from .new_types import fit_again, fit_only_new, lacks_types
from .pair_targets import Tensors, Transform
from .scales import ROUNDING, floor_scales, scales_of_forces
from .sources import Datasets
from .unseen import zero_unseen_kinds


def fit_to_targets(
    model: ScalarTensor,
    hypers: TrainerHypers,
    train_datasets: Datasets,
    is_distributed: bool,
    checkpoint_dir: str,
) -> Dict[str, float]:
    """Fit the baselines and scales of all targets, of atoms and of pairs.

    :param model: the model.
    :param hypers: hyperparameters of the training.
    :param train_datasets: training sets.
    :param is_distributed: whether several processes share them.
    :param checkpoint_dir: where metatrain saves a copy.
    :return: the largest absolute value of each target.
    :raises ValueError: as :func:`fit_baseline`, or if the scale of a target of pairs
        is given.
    """
    targets = model.dataset_info.targets
    fixed = hypers["fixed_scaling_weights"]
    of_pairs = [name for name in model.baseline.pair_scales.of_target if name in fixed]
    if of_pairs and not isinstance(fixed, str):
        raise ValueError(
            f"'fixed_scaling_weights' has the targets {sorted(of_pairs)} of pairs of "
            "atoms, whose scales are always fitted: take them out"
        )
    largest_values = find_largest_values(targets, train_datasets)
    explained = fit_baseline(
        model.baseline,
        hypers,
        train_datasets,
        largest_values,
        is_distributed,
        checkpoint_dir,
    )
    for name in explained:
        if len(targets[name].gradients) == 0:
            logging.warning(
                f"the composition explains the target '{name}' to rounding: nothing is "
                "left to learn, the model predicts its composition baseline"
            )
            model.model.heads()[name].predict_zero()
    for name in model.baseline.scaler.new_outputs:
        zero_unseen_kinds(model, name, train_datasets)
    fit_to_pairs(model, hypers["scale_targets"], train_datasets)
    return largest_values


def fit_baseline(
    baseline: Baseline,
    hypers: TrainerHypers,
    train_datasets: Datasets,
    largest_values: Dict[str, float],
    is_distributed: bool,
    checkpoint_dir: str,
) -> List[str]:
    """Fit composition models and scales to the training set, or load them.

    Targets of an earlier training keep theirs, except that atom types are fitted for
    which there were no data.

    :param baseline: what to fit; it is converted to float64.
    :param hypers: hyperparameters of the training.
    :param train_datasets: training sets.
    :param largest_values: the result of :func:`find_largest_values`.
    :param is_distributed: whether several processes share them.
    :param checkpoint_dir: where metatrain saves a copy.
    :return: targets that the composition explains, so that nothing is left to learn.
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
    explained: List[str] = []
    baseline.double()
    models = [model for model in baseline.composition_models() if lacks_types(model)]
    weights_so_far = [fit_again(model) for model in models]
    is_loaded = isinstance(atomic_baseline, str)
    fixed = set(baseline.dataset_info.targets if is_loaded else atomic_baseline)
    shared: Dict[str, Any] = {
        "batch_size": hypers["batch_size"],
        "is_distributed": is_distributed,
    }
    isotropic = baseline.isotropic_composition()
    if isotropic is not None:
        isotropic_baseline: FixedCompositionWeights = {}
        if isinstance(atomic_baseline, dict):
            atomic_baseline = dict(atomic_baseline)  # the hypers must not change
            for name in isotropic.outputs.keys() & atomic_baseline.keys():
                isotropic_baseline[name] = atomic_baseline.pop(name)
        _fit_isotropic(isotropic, isotropic_baseline, train_datasets, shared)
    shared["checkpoint_dir"] = checkpoint_dir
    shared["other_additive_models"] = list(baseline.additive_models[1:])
    composition = cast(CompositionModel, baseline.additive_models[0])
    _fit_composition(composition, atomic_baseline, train_datasets, shared)
    for model, weights in zip(models, weights_so_far):
        fit_only_new(model, {n: w for n, w in weights.items() if n not in fixed})
    if hypers["scale_targets"]:
        if not isinstance(scaling_weights, str):
            of_forces = scales_of_forces(baseline.scaler.target_infos, train_datasets)
            scaling_weights = {**of_forces, **scaling_weights}
        train_or_load_scaler(
            scaler=baseline.scaler,
            fixed_weights=scaling_weights,
            additive_models=baseline.additive_models,
            per_structure_targets=hypers["per_structure_targets"],
            train_datasets=train_datasets,
            batch_size=hypers["batch_size"],
            is_distributed=is_distributed,
            checkpoint_dir=checkpoint_dir,
        )
        if not isinstance(scaling_weights, str):
            for name in set(baseline.scaler.new_outputs) - set(scaling_weights):
                if not floor_scales(baseline.scaler, name, largest_values[name]):
                    explained.append(name)
    baseline.tabulate()
    return explained


def fit_to_pairs(
    model: ScalarTensor, with_scales: bool, train_datasets: Datasets
) -> None:
    """Prepare the targets of pairs that were not in an earlier training.

    :param model: the model.
    :param with_scales: whether to fit their scales.
    :param train_datasets: training sets.
    """
    scale: Any  # mypy takes its attributes for tensors
    for name, scale in model.baseline.pair_scales.of_target.items():
        if not scale.is_fitted:
            zero_unseen_kinds(model, name, train_datasets)
            if with_scales:
                info = model.dataset_info.targets[name]
                exchange = model.model.heads()[name].exchange
                scale.fit(_values(name, info, train_datasets), exchange)
            scale.is_fitted.fill_(True)


def find_largest_values(targets: Iterable[str], datasets: Datasets) -> Dict[str, float]:
    """The largest absolute value of each target; zero for targets without data."""
    largest = dict.fromkeys(targets, 0.0)
    samples: Any = itertools.chain.from_iterable(datasets)  # type: ignore[arg-type]
    for sample in samples:
        for name in largest.keys() & set(sample._fields):
            for block in sample[name].blocks():
                values = block.values[block.values.isfinite()].abs()
                if len(values) > 0:
                    largest[name] = max(largest[name], float(values.max()))
    return largest


def get_drop_rounding_transform(largest_values: Dict[str, float]) -> Transform:
    """A transform for metatrain's collate function that removes rounding noise.

    It sets to zero what is left of a target after subtracting the baseline, if this is
    only rounding: Adam is insensitive to scale, and would learn this noise.

    :param largest_values: the result of :func:`find_largest_values`.
    """

    def transform(
        systems: List[System], targets: Tensors, extra: Tensors
    ) -> Tuple[List[System], Tensors, Tensors]:
        for name, target in targets.items():
            for block in target.blocks():
                block.values[block.values.abs() <= ROUNDING * largest_values[name]] = 0
        return systems, targets, extra

    return transform


def _values(name: str, info: TargetInfo, datasets: Datasets) -> List[TensorMap]:
    """A target in all structures that have it, in dense form."""
    samples: Any = itertools.chain.from_iterable(datasets)  # type: ignore[arg-type]
    tensors = [sample[name] for sample in samples if name in sample._fields]
    if info.is_atomic_basis:
        return [densify_atomic_basis_target(t, info.layout) for t in tensors]
    return tensors


def _fit_composition(
    composition: CompositionModel,
    atomic_baseline: Union[FixedCompositionWeights, str],
    train_datasets: Datasets,
    shared: Dict[str, Any],
) -> None:
    """Fit all targets at once, but those with missing values each to its own data."""
    to_fit = list(composition._new_outputs)
    with_gaps = _targets_with_gaps(to_fit, train_datasets)
    passes = [([name for name in to_fit if name not in with_gaps], train_datasets)]
    for name in with_gaps:
        datasets = known_values(name, train_datasets)
        if len(datasets) == 0 and not isinstance(atomic_baseline, str):
            logging.warning(
                f"no structure has all values of target '{name}': it gets no "
                "composition baseline. If its properties are separate targets instead, "
                "each of them gets one"
            )
            atomic_baseline = {name: 0.0, **atomic_baseline}
        passes.append(([name], datasets or train_datasets))
    for names, datasets in passes:
        composition._new_outputs = names
        train_or_load_composition_model(
            composition, atomic_baseline, datasets, **shared
        )
    composition._new_outputs = to_fit


def _fit_isotropic(
    isotropic: IsotropicComposition,
    fixed_weights: FixedCompositionWeights,
    train_datasets: Datasets,
    shared: Dict[str, Any],
) -> None:
    weights: Datasets = []
    for name in isotropic.composition.target_infos:  # those not fitted yet
        part = cast(IsotropicPart, isotropic.parts[name])
        of_target = known_values(name, train_datasets, part.weights_of)
        weights += of_target
        if len(of_target) == 0:  # no complete tensor
            fixed_weights.setdefault(name, 0.0)
    train_or_load_composition_model(
        isotropic.composition, fixed_weights, weights, [], **shared
    )


def _targets_with_gaps(names: List[str], datasets: Datasets) -> List[str]:
    """Targets with missing values, other than those of an atomic basis."""
    with_gaps = set()
    for dataset in datasets:
        for sample in dataset:
            for name in set(names).intersection(sample._fields):
                if "atom_type" not in sample[name].keys.names and any(
                    not block.values.isfinite().all() for block in sample[name].blocks()
                ):
                    with_gaps.add(name)
    return [name for name in names if name in with_gaps]


def known_values(
    name: str,
    datasets: Datasets,
    of_target: Callable[[TensorMap], TensorMap] = lambda target: target,
) -> Datasets:
    """Data of one target without missing values, which metatrain's fit can't handle.

    Structures without values are left out and, for targets of atoms, atoms without
    values.

    :param name: name of the target, not of an atomic basis.
    :param datasets: data that may have the target.
    :param of_target: function to apply to the target, which keeps the samples.
    :return: structures and values, for each dataset that has any.
    """
    results: Datasets = []
    for dataset in datasets:
        systems: List[System] = []
        values: List[TensorMap] = []
        for sample in dataset:
            if name in sample._fields:
                system, target = sample["system"], of_target(sample[name])
                is_known = torch.stack(
                    [x.values.flatten(1).isfinite().all(1) for x in target.blocks()]
                ).all(0)
                samples = target.block(0).samples
                samples = Labels(samples.names, samples.values[is_known])
                if len(samples) > 0:
                    systems.append(_with_atoms_of(samples, system))
                    blocks = [
                        TensorBlock(
                            x.values[is_known], samples, x.components, x.properties
                        )
                        for x in target.blocks()
                    ]
                    values.append(TensorMap(target.keys, blocks))
        if len(systems) > 0:
            results.append(Dataset.from_dict({"system": systems, name: values}))
    return results


def _with_atoms_of(samples: Labels, system: System) -> System:
    """The structure with only the atoms that have a sample."""
    if "atom" not in samples.names:
        return system
    atoms = samples.column("atom")
    return System(system.types[atoms], system.positions[atoms], system.cell, system.pbc)
