"""Predictions of a model beside the reference values."""

from dataclasses import dataclass, replace
from typing import Dict, Iterator, List, Literal, Tuple

import ase
import numpy as np
import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import AtomisticModel, unit_conversion_factor
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

from ..progress import progress
from .data import Data, DataPart, ReportError


Place = Literal["structure", "atom", "pair"]


@dataclass
class Block:
    """Predictions and references of one block of a target, or of one of its gradients.

    Gradients have the sign of forces and virials, not of derivatives.
    """

    quantity: str
    """The target, with λ and σ if it is spherical. A quantity has several blocks if
    these belong to different types of atoms."""
    target: str
    """Name of the target, or of its gradient."""
    key: Dict[str, int]
    """The key of the block."""
    unit: str
    samples: np.ndarray
    """The structure, counted over all data; for atoms also the atom; for pairs both
    atoms and the cell shifts: ``(samples, 1 | 2 | 6)``."""
    predicted: np.ndarray
    """``(samples, *components, properties)``"""
    reference: np.ndarray
    """Likewise; NaN where a value is missing."""

    @property
    def place(self) -> Place:
        """What the samples are."""
        places: Dict[int, Place] = {1: "structure", 2: "atom"}
        return places.get(self.samples.shape[1], "pair")


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

    def rows(self, block: Block) -> Tuple[np.ndarray, int]:
        """Where the samples of a block are among all structures or all atoms.

        :param block: a block of structures or atoms.
        :return: the row of every sample, and the number of all structures or atoms.
        """
        if block.place == "structure":
            return block.samples[:, 0], len(self.structures)
        *first, number = np.cumsum([0, *map(len, self.structures)])
        return np.array(first)[block.samples[:, 0]] + block.samples[:, 1], int(number)


def evaluate(model: AtomisticModel, data: Data, quiet: bool = False) -> Evaluation:
    """Compare a model with data.

    :param model: an exported model.
    :param data: structures with references. Samples that are missing in the model or
        in the data are left out: pairs beyond the cutoff, or without a reference.
    :return: structures, predictions and references. Targets of structures are sums
        over the structure.
    :raises ReportError: if the model lacks one of the targets, or has another unit of
        length than the data.
    """
    structures: List[ase.Atoms] = []
    pieces: Dict[tuple, List[Block]] = {}
    for part in data.parts:
        for structure, blocks in _evaluate_part(model, part, quiet):
            for block in blocks:
                block.samples[:, 0] = len(structures)
                key = (block.quantity, *block.key.items())
                pieces.setdefault(key, []).append(block)
            structures.append(structure)
    joined = [_join(blocks) for blocks in pieces.values()]
    return Evaluation(structures, [block for block in joined if len(block.samples)])


def _evaluate_part(
    model: AtomisticModel, part: DataPart, quiet: bool
) -> Iterator[Tuple[ase.Atoms, List[Block]]]:
    """Every structure with its blocks."""
    capabilities = model.capabilities()
    lacking = sorted(set(part.targets).difference(capabilities.outputs))
    if lacking:
        raise ReportError(
            f"the model has no {', '.join(lacking)}: leave it out of the data's "
            "'targets'"
        )
    if unit_conversion_factor(part.length_unit, capabilities.length_unit) != 1.0:
        raise ReportError(
            f"the structures are in {part.length_unit}, those of the model in "
            f"{capabilities.length_unit}: convert the structures"
        )
    device = pick_devices(architecture_devices=capabilities.supported_devices)[0]
    dtype = getattr(torch, capabilities.dtype)
    model.to(device=device, dtype=dtype)
    inputs = [
        name
        for name, request in model.requested_inputs(use_new_names=True).items()
        if request.sample_kind == "system"
    ]
    neighbor_lists = get_requested_neighbor_lists(model)
    collate = CollateFn(
        list(part.targets),
        [
            get_system_with_neighbor_lists_transform(neighbor_lists),
            get_system_data_transform(inputs),
        ],
    )
    # One by one: in a batch, data and predictions number the structures differently
    for i in progress(range(len(part.dataset)), "evaluation", quiet):
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
    """The blocks and gradients of a target in one structure."""
    for key in info.layout.keys:
        if key not in prediction.keys or key not in reference.keys:
            continue
        predicted, referenced = prediction.block(key), reference.block(key)
        names = dict(zip(key.names, key.values.tolist()))
        quantity = f"{name} {_symmetry(names)}" if info.is_spherical else name
        yield Block(quantity, name, names, info.unit, *_common(predicted, referenced))
        for gradient in info.gradients:
            external = to_external_name(f"{name}_{gradient}_gradients", part.targets)
            unit = get_gradient_units(info.unit, gradient, part.length_unit)
            samples, *derivatives = _common(
                predicted.gradient(gradient), referenced.gradient(gradient)
            )
            forces = [-derivative for derivative in derivatives]
            yield Block(external, external, names, unit, samples, *forces)


def _symmetry(key: Dict[str, int]) -> str:
    """λ and σ of a block, for matrices those of both sides: ``λ=2 σ=+1``."""
    lambdas = [str(value) for name, value in key.items() if "lambda" in name]
    sigmas = [f"{value:+d}" for name, value in key.items() if "sigma" in name]
    return f"λ={','.join(lambdas)} σ={','.join(sigmas)}"


def _common(predicted: TensorBlock, reference: TensorBlock) -> List[np.ndarray]:
    """The samples that both blocks have, and the values of each block for them."""
    samples, *places = _of_one_structure(predicted.samples).intersection_and_mapping(
        _of_one_structure(reference.samples)
    )
    result = [samples.values.numpy().copy()]
    for block, place in zip((predicted, reference), places):
        rows = torch.argsort(place)[(place < 0).sum() :]  # without -1, not in common
        result.append(block.values.detach().cpu().double()[rows].numpy())
    return result


def _of_one_structure(samples: Labels) -> Labels:
    """The samples with 0 for the structure, which gradients call ``sample``."""
    names = [name for name in samples.names if name not in ("system", "sample")]
    columns = [samples.column(name).cpu() for name in names]
    structure = torch.zeros(len(samples), dtype=torch.int32)
    return Labels(["structure", *names], torch.stack([structure, *columns], dim=1))


def _join(blocks: List[Block]) -> Block:
    """One block of all structures."""
    return replace(
        blocks[0],
        samples=np.concatenate([block.samples for block in blocks]),
        predicted=np.concatenate([block.predicted for block in blocks]),
        reference=np.concatenate([block.reference for block in blocks]),
    )
