"""Atom types that are added to a trained model.

What metatrain keeps for every type, it keeps in serialised TensorMaps: this file, like
``baseline.py``, depends on how it does.
"""

from typing import Dict, List

import metatensor.torch as mts
import torch
from metatensor.torch import TensorMap
from metatrain.composition import CompositionModel
from metatrain.utils.data.atomic_basis_helpers import densify_atomic_basis_dataset_info

from ..documentation import ModelHypers


def check_types_can_be_added(
    hypers: ModelHypers, known: List[int], atomic_types: List[int]
) -> None:
    """Refuse types for which a model has more than a row of a table.

    :param hypers: hyperparameters of the model.
    :param known: types that it knows.
    :param atomic_types: types that it is to know.
    :raises ValueError: if it can't.
    """
    if hypers["species"]["type"] != "tensor_reduced":
        new_types = sorted(set(atomic_types) - set(known))
        raise ValueError(
            f"the data have atomic types {new_types} that the trained model does not "
            f"know (it knows {known}): train a new model, or leave these structures "
            "out. Only models with 'species: {type: tensor_reduced}' can learn further "
            "types"
        )


def take_over(old: torch.nn.Module, new: torch.nn.Module, known: torch.Tensor) -> None:
    """Give metatrain's models of all types what those of the known types have.

    Composition weights of new types are zero until they are fitted, scales are the mean
    of the others.

    :param old: composition models and scaler of the known types.
    :param new: the same for all types, whose buffers are changed.
    :param known: places of the known types among all.
    """
    for name, buffer in old.named_buffers():
        is_composition = name.endswith("_composition_buffer")
        if is_composition or name.endswith("_scaler_buffer"):
            of_all = mts.load_buffer(new.get_buffer(name).cpu())
            of_known = mts.load_buffer(buffer.cpu())
            for block, known_block in zip(of_all.blocks(), of_known.blocks()):
                if len(block.samples) == 1:  # the same for all types
                    block.values[:] = known_block.values
                else:
                    mean = known_block.values.mean(0)
                    block.values[:] = torch.zeros_like(mean) if is_composition else mean
                    block.values[known] = known_block.values
            module, _, buffer_name = name.rpartition(".")
            new.get_submodule(module).register_buffer(
                buffer_name, mts.save_buffer(mts.make_contiguous(of_all))
            )


def fit_again(composition: CompositionModel) -> Dict[str, TensorMap]:
    """Let metatrain's next fit be one of all targets, fitted earlier or not.

    :param composition: the model to be fitted.
    :return: the weights of the targets that were fitted earlier, for :func:`fit_only`.
    """
    weights = {
        name: weights.copy()
        for name, weights in composition.model.weights.items()
        if name not in composition._new_outputs
    }
    info = densify_atomic_basis_dataset_info(composition.dataset_info)
    composition.target_infos = dict(info.targets)
    composition._new_outputs = list(composition.outputs)
    return weights


def fit_only(
    composition: CompositionModel, weights: Dict[str, TensorMap], new: List[int]
) -> None:
    """Undo what a fit has changed for the known types, and solve for the new ones.

    :param composition: model that was just fitted for all types.
    :param weights: its weights before the fit, of the targets to repair.
    :param new: places of the new types among all.
    """
    model = composition.model
    for name, before in weights.items():
        for key, block in model.weights[name].items():
            w = before.block(key).values.to(block.values)  # (types, ...)
            xtx = model.XTX[name].block(key).values.to(w)  # (types, types)
            xty = model.XTY[name].block(key).values.to(w).flatten(1)
            if torch.any(xtx != 0):  # fitted, not fixed by a hyperparameter
                w[new] = 0.0
                residual = (xty - xtx @ w.flatten(1))[new]
                solution = torch.linalg.pinv(xtx[new][:, new]) @ residual
                w[new] = solution.reshape(w[new].shape)
                block.values[:] = w
        buffer = mts.save_buffer(mts.make_contiguous(model.weights[name].to("cpu")))
        composition.register_buffer(
            name + "_composition_buffer", buffer.to(composition.dummy_buffer.device)
        )
