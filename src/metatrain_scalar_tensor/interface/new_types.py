"""Atom types that are added to a trained model.

metatrain stores weights and scales of types in serialised TensorMaps: this file, like
``baseline.py``, depends on how it does so.
"""

import logging
from typing import Dict, List

import metatensor.torch as mts
import torch
from metatensor.torch import TensorMap
from metatrain.composition import CompositionModel
from metatrain.utils.data.atomic_basis_helpers import densify_atomic_basis_dataset_info

from ..density import choose_species
from ..documentation import ModelHypers


NO_WEIGHT = 1e-12  # of a type, relative to the largest


def check_types_can_be_added(
    hypers: ModelHypers, known: List[int], atomic_types: List[int]
) -> None:
    """Refuse new types for models that have more than a row of a table for each type.

    :raises ValueError: if the model can't learn new types.
    """
    species = choose_species(hypers["species"], len(known))
    if species["type"] != "tensor_reduced":
        new_types = sorted(set(atomic_types) - set(known))
        raise ValueError(
            f"the data have atomic types {new_types} that the trained model does not "
            f"know (it knows {known}): train a new model, or leave these structures "
            "out. Only models with 'species: {type: tensor_reduced}' can learn further "
            "types"
        )


def take_over(old: torch.nn.Module, new: torch.nn.Module, known: torch.Tensor) -> None:
    """Copy weights and scales of known types to metatrain's models of all types.

    New types get zero composition weights, until they are fitted, and the mean scale.

    :param old: composition models and scaler of the known types.
    :param new: the same for all types; its buffers are changed.
    :param known: positions of the known types among all.
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


def lacks_types(composition: CompositionModel) -> bool:
    """Whether targets of an earlier training have types that are not fitted."""
    weights = _fitted(composition)
    return any(bool(_unfitted(of_target).any()) for of_target in weights.values())


def fit_again(composition: CompositionModel) -> Dict[str, TensorMap]:
    """Make metatrain's next fit include all targets, also those already fitted.

    :return: the weights of these, for :func:`fit_only_new`.
    """
    weights = _fitted(composition)
    info = densify_atomic_basis_dataset_info(composition.dataset_info)
    composition.target_infos = dict(info.targets)
    composition._new_outputs = list(composition.outputs)
    return weights


def fit_only_new(composition: CompositionModel, weights: Dict[str, TensorMap]) -> None:
    """Restore the weights of fitted types after a fit, and solve for the others.

    :param composition: model that was just fitted for all types.
    :param weights: weights before the fit, for the targets to restore.
    """
    model = composition.model
    for name, before in weights.items():
        unfitted = _unfitted(before)
        for key, block in model.weights[name].items():
            w = before.block(key).values.to(block.values)  # (types, ...)
            xtx = model.XTX[name].block(key).values.to(w)  # (types, types)
            xty = model.XTY[name].block(key).values.to(w).flatten(1)
            new = torch.where(unfitted & (xtx.diagonal() > 0).cpu())[0]
            residual = (xty - xtx @ w.flatten(1))[new]
            solution = torch.linalg.pinv(xtx[new][:, new]) @ residual
            w[new] = solution.reshape(w[new].shape)
            block.values[:] = w
            if len(new) > 0:
                types = [composition.dataset_info.atomic_types[i] for i in new.tolist()]
                logging.info(
                    f"The baseline of '{name}' is fitted for the types {types}, which "
                    "had none"
                )
        buffer = mts.save_buffer(mts.make_contiguous(model.weights[name].to("cpu")))
        composition.register_buffer(
            name + "_composition_buffer", buffer.to(composition.dummy_buffer.device)
        )


def _fitted(composition: CompositionModel) -> Dict[str, TensorMap]:
    """The weights of the targets of an earlier training."""
    return {
        name: weights.copy()
        for name, weights in composition.model.weights.items()
        if name not in composition._new_outputs
    }


def _unfitted(weights: TensorMap) -> torch.Tensor:
    """The types without weights, for which there were no data, ``(types,)``.

    None if no type has any, as where a hyperparameter says so.
    """
    values = [block.values.flatten(1) for block in weights.blocks()]  # (types, ...)
    size_of_type = torch.cat(values, dim=1).abs().amax(1).cpu()
    return size_of_type < NO_WEIGHT * size_of_type.max()
