"""What metatrain adds to the predictions: composition baseline, ZBL, and scale.

Everything that depends on how metatrain keeps these parts is in this file, since a
redesign there moves them out of the architectures.
"""

from typing import List

import torch
from metatensor.torch import TensorBlock, TensorMap
from metatrain.composition import CompositionModel
from metatrain.scaler import Scaler
from metatrain.utils.additive import ZBL
from metatrain.utils.architectures import get_default_hypers
from metatrain.utils.data import DatasetInfo


def build_additive_models(
    dataset_info: DatasetInfo, train_info: DatasetInfo, zbl: bool
) -> torch.nn.ModuleList:
    """The models whose predictions are added to the network's.

    :param dataset_info: the targets as they are in the data.
    :param train_info: the targets as the network sees them.
    :param zbl: whether to add the ZBL repulsion to energies.
    :return: the composition model and, if asked for, ZBL.
    """
    models: List[torch.nn.Module] = [
        CompositionModel.from_valid_targets(dataset_info, dataset_info.atomic_types)
    ]
    if zbl:
        models.append(
            ZBL(
                {},
                DatasetInfo(
                    length_unit=train_info.length_unit,
                    atomic_types=train_info.atomic_types,
                    targets={
                        name: info
                        for name, info in train_info.targets.items()
                        if ZBL.is_valid_target(name, info)
                    },
                ),
            )
        )
    return torch.nn.ModuleList(models)


def restart_composition_model(
    model: CompositionModel, dataset_info: DatasetInfo, atomic_types: List[int]
) -> CompositionModel:
    """Add to the composition model the new targets that it can baseline."""
    return model.restart(
        DatasetInfo(
            length_unit=dataset_info.length_unit,
            atomic_types=atomic_types,
            targets={
                name: info
                for name, info in dataset_info.targets.items()
                if CompositionModel.is_valid_target(name, info)
            },
        )
    )


def build_scaler(dataset_info: DatasetInfo) -> Scaler:
    """The model that knows the scale of every target."""
    return Scaler(
        hypers=get_default_hypers("scaler")["model"], dataset_info=dataset_info
    )


def add_matching_blocks(prediction: TensorMap, contribution: TensorMap) -> TensorMap:
    """Add a contribution that may lack some of the blocks of the prediction.

    :param prediction: what to add to.
    :param contribution: what to add, such as a composition baseline, which has scalar
        blocks only; same samples, components and properties.
    :return: the sum, with the blocks of the prediction.
    """
    blocks: List[TensorBlock] = []
    for key, block in prediction.items():
        values = block.values
        if key in contribution.keys:
            values = values + contribution.block(key).values.to(values)
        blocks.append(
            TensorBlock(values, block.samples, block.components, block.properties)
        )
    return TensorMap(prediction.keys, blocks)
