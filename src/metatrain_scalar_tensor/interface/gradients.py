"""Forces and stress, which only some of several data sets may have."""

from typing import Any, Dict

from metatrain.utils.data import TargetInfo
from metatrain.utils.data.target_info import get_energy_target_info

from .reading import GRADIENTS, is_asked_for
from .sources import Datasets, Sources


def unite_gradients(
    targets: Dict[str, TargetInfo],
    datasets: Datasets,
    val_datasets: Datasets,
    sources: Sources,
) -> None:
    """Give each target all the gradients that it has in any data set.

    metatrain describes targets as they are in the last data set.

    :param targets: descriptions of the targets, changed in place because metatrain's
        final evaluation uses them too.
    :param datasets: training sets.
    :param val_datasets: validation sets.
    :param sources: options of the training sets.
    :raises ValueError: if the options file asks for a gradient that is missing or NaN
        everywhere in its data set.
    """
    for number, dataset in enumerate(datasets):
        of_targets = sources.options_of("training", number).get("targets", {})
        for name, options in of_targets.items():
            for kind, gradient in GRADIENTS.items():
                if options.get(kind):
                    _check_gradient(dataset, name, kind, gradient, options[kind])
    for dataset in [*datasets, *val_datasets]:
        for name, info in targets.items():
            if len(dataset) > 0 and name in dataset[0]._fields:
                found = dataset[0][name].block(0).gradients_list()
                all_gradients = {*info.gradients, *found}
                if all_gradients != set(info.gradients):
                    complete = get_energy_target_info(
                        name,
                        {"unit": info.unit, "description": info.description},
                        "positions" in all_gradients,
                        "strain" in all_gradients,
                    )
                    vars(info).update(vars(complete))


def _check_gradient(
    dataset: Any, name: str, kind: str, gradient: str, options: Dict[str, Any]
) -> None:
    """Check that a data set has the forces or stress that its options ask for."""
    file = options["read_from"]
    remedy = f"correct 'key', or set '{kind}: false' for this data set"
    if gradient not in dataset[0][name].block(0).gradients_list():
        if is_asked_for(name, kind, file):
            raise ValueError(f"target '{name}' has no {kind} in '{file}': {remedy}")
    elif not any(
        sample[name].block(0).gradient(gradient).values.isfinite().any()
        for sample in dataset
    ):
        raise ValueError(f"target '{name}' has no {kind} in '{file}' but NaN: {remedy}")
