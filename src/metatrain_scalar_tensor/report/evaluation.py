"""Predictions of a model beside the references of data."""

from dataclasses import dataclass
from typing import Dict, Iterator, List

import ase
import numpy as np
import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import AtomisticModel
from metatrain.utils.data import CollateFn, TargetInfo, system_to_ase, unpack_batch
from metatrain.utils.devices import pick_devices
from metatrain.utils.evaluate_model import evaluate_model
from metatrain.utils.external_naming import to_external_name
from metatrain.utils.neighbor_lists import (
    get_requested_neighbor_lists,
    get_system_with_neighbor_lists_transform,
)
from metatrain.utils.system_data import get_system_data_transform
from metatrain.utils.units import get_gradient_units

from .run import Data, DataPart, ReportError


@dataclass
class Block:
    """Predictions and references of one block of a target, or of one of its gradients.

    Forces and virials have the sign of forces and virials, not of derivatives.
    """

    quantity: str
    """The target, with λ and σ if it is spherical: blocks of the same quantity belong
    to different types of atoms."""
    target: str
    """Name of the target, or of its gradient."""
    key: Dict[str, int]
    """The key of the block."""
    unit: str
    samples: np.ndarray
    """The structure and, for atoms, the atom, for pairs also the other one and the cell
    shifts: ``(samples, 1 | 2 | 6)``. Structures are counted over all data."""
    predicted: np.ndarray
    """``(samples, *components, properties)``"""
    reference: np.ndarray
    """Likewise; NaN where a value is missing."""


@dataclass
class Evaluation:
    """Structures with predictions and references."""

    structures: List[ase.Atoms]
    blocks: List[Block]

    def quantities(self) -> Dict[str, List[Block]]:
        """The blocks of every quantity."""
        result: Dict[str, List[Block]] = {}
        for block in self.blocks:
            result.setdefault(block.quantity, []).append(block)
        return result


def evaluate(model: AtomisticModel, data: Data) -> Evaluation:
    """Compare a model with data.

    :param model: an exported model.
    :param data: structures with references. Samples that only one of model and data
        has are left out: pairs of atoms beyond the cutoff, or without a reference.
    :return: structures, predictions and references, those of targets of structures as
        sums over the structure.
    :raises ReportError: if the model lacks one of the targets.
    """
    structures: List[ase.Atoms] = []
    pieces: Dict[tuple, List[Block]] = {}
    for part in data.parts:
        known = model.capabilities().outputs
        lacking = sorted(set(part.targets).difference(known))
        if lacking:
            raise ReportError(
                f"the model has no {', '.join(lacking)}: leave it out of the data's "
                "'targets'"
            )
        for structure, blocks in _evaluate_part(model, part):
            for block in blocks:
                block.samples[:, 0] = len(structures)
                key = (block.quantity, *block.key.items())
                pieces.setdefault(key, []).append(block)
            structures.append(structure)
    joined = [_join(blocks) for blocks in pieces.values()]
    return Evaluation(structures, [block for block in joined if len(block.samples)])


def _evaluate_part(model: AtomisticModel, part: DataPart) -> Iterator[tuple]:
    """Every structure, with its blocks."""
    capabilities = model.capabilities()
    device = pick_devices(architecture_devices=capabilities.supported_devices)[0]
    dtype = getattr(torch, capabilities.dtype)
    model.to(device=device, dtype=dtype)
    lists = get_requested_neighbor_lists(model)
    inputs = [
        name
        for name, request in model.requested_inputs(use_new_names=True).items()
        if request.sample_kind == "system"
    ]
    collate = CollateFn(
        list(part.targets),
        [
            get_system_with_neighbor_lists_transform(lists),
            get_system_data_transform(inputs),
        ],
    )
    # one by one: labels of a batch count structures differently in data and predictions
    for i in range(len(part.dataset)):
        [system], references, _ = unpack_batch(collate([part.dataset[i]]))
        system = system.to(device=device, dtype=dtype)
        predictions = evaluate_model(model, [system], part.targets, is_training=False)
        blocks = [
            block
            for name, info in part.targets.items()
            for block in _compare(name, info, predictions[name], references[name], part)
        ]
        yield system_to_ase(system), blocks


def _compare(
    name: str,
    info: TargetInfo,
    prediction: TensorMap,
    reference: TensorMap,
    part: DataPart,
) -> Iterator[Block]:
    """The blocks and gradients of a target that one structure has."""
    for key in info.layout.keys:
        if key not in prediction.keys or key not in reference.keys:
            continue
        predicted, referenced = prediction.block(key), reference.block(key)
        names = dict(zip(key.names, (int(value) for value in key.values)))
        quantity = f"{name} {_symmetry(names)}" if info.is_spherical else name
        yield _block(quantity, name, names, info.unit, predicted, referenced)
        for gradient in info.gradients:
            external = to_external_name(f"{name}_{gradient}_gradients", part.targets)
            block = _block(
                external,
                external,
                names,
                get_gradient_units(info.unit, gradient, part.length_unit),
                predicted.gradient(gradient),
                referenced.gradient(gradient),
            )
            block.predicted *= -1
            block.reference *= -1
            yield block


def _symmetry(key: Dict[str, int]) -> str:
    """λ and σ of a block, of matrices those of both sides: ``λ=2 σ=+1``."""
    lambdas = [str(value) for name, value in key.items() if "lambda" in name]
    sigmas = [f"{value:+d}" for name, value in key.items() if "sigma" in name]
    return f"λ={','.join(lambdas)} σ={','.join(sigmas)}"


def _block(
    quantity: str,
    target: str,
    key: Dict[str, int],
    unit: str,
    predicted: TensorBlock,
    reference: TensorBlock,
) -> Block:
    """What prediction and reference of one structure have in common."""
    samples, of_predicted, of_reference = _of_one_structure(
        predicted.samples
    ).intersection_and_mapping(_of_one_structure(reference.samples))
    return Block(
        quantity,
        target,
        key,
        unit,
        samples.values.cpu().numpy().copy(),
        _rows(predicted.values, of_predicted),
        _rows(reference.values, of_reference),
    )


def _of_one_structure(samples: Labels) -> Labels:
    """The samples with 0 for the structure, which is also the sample of gradients."""
    names = [name for name in samples.names if name not in ("system", "sample")]
    columns = [samples.column(name).cpu() for name in names]
    structure = torch.zeros(len(samples), dtype=torch.int32)
    return Labels(["structure", *names], torch.stack([structure, *columns], dim=1))


def _rows(values: torch.Tensor, position: torch.Tensor) -> np.ndarray:
    """The rows in the order of ``position``, without those where it is negative."""
    rows = values.detach().cpu().double()[position >= 0]
    return rows[torch.argsort(position[position >= 0])].numpy()


def _join(blocks: List[Block]) -> Block:
    """One block of all structures."""
    first = blocks[0]
    return Block(
        first.quantity,
        first.target,
        first.key,
        first.unit,
        np.concatenate([block.samples for block in blocks]),
        np.concatenate([block.predicted for block in blocks]),
        np.concatenate([block.reference for block in blocks]),
    )
