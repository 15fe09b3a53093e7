"""The labels of outputs: from values of targets to TensorMaps."""

from typing import Dict, List, Optional

import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import NeighborListOptions, System
from metatrain.utils.data import TargetInfo
from metatrain.utils.data.atom_pair_helpers import get_pair_sample_labels

from .names import is_stress


def atom_labels(systems: List[System]) -> Labels:
    """Labels ``(system, atom)`` of all atoms of the structures, in order."""
    values: List[torch.Tensor] = []
    for i, system in enumerate(systems):
        atoms = torch.arange(len(system), device=system.device, dtype=torch.int32)
        values.append(torch.stack([torch.full_like(atoms, i), atoms], dim=1))
    return Labels(["system", "atom"], torch.cat(values))


def types_of_samples(systems: List[System], samples: Labels) -> torch.Tensor:
    """The atom types of samples ``(system, atom)``: ``(samples,)``."""
    types = torch.cat([system.types for system in systems])
    return types[atom_labels(systems).to(samples.device).select(samples)]


def without_samples(layout: TensorMap, prediction: TensorMap) -> TensorMap:
    """The blocks of an atomic basis, all without samples.

    :param layout: the blocks.
    :param prediction: the prediction in dense form, whose samples these have.
    """
    first = prediction.block(0)
    samples = Labels(first.samples.names, first.samples.values[:0])
    blocks: List[TensorBlock] = []
    for block in layout.blocks():
        shape = [0]
        for component in block.components:
            shape.append(len(component))
        shape.append(len(block.properties))
        device = first.values.device
        blocks.append(
            TensorBlock(
                torch.zeros(shape, dtype=first.values.dtype, device=device),
                samples,
                [component.to(device) for component in block.components],
                block.properties.to(device),
            )
        )
    return TensorMap(layout.keys.to(first.values.device), blocks)


def has_basis_functions(
    layout: TensorMap, systems: List[System], samples: Labels
) -> bool:
    """Whether any sample is of a type, or a pair of types, that has blocks.

    :param layout: the blocks of an atomic basis.
    :param systems: structures.
    :param samples: ``(system, atom)``, or pairs with ``(system, first_atom,
        second_atom)`` and cell shifts.
    """
    counts = torch.tensor([0] + [len(system) for system in systems])
    first = counts.cumsum(0).to(samples.device)[samples.column("system").long()]
    types = torch.cat([system.types for system in systems])
    columns = ["first_atom", "second_atom"]
    if "atom" in samples.names:
        columns = ["atom"]
    of_samples = torch.stack(  # (samples, 1 or 2)
        [types[first + samples.column(column).long()] for column in columns], dim=1
    )
    for key in layout.keys.values[:, -len(columns) :].to(of_samples.device):
        if bool((of_samples == key).all(1).any()):
            return True
    return False


def pair_labels(
    systems: List[System],
    neighbor_list: NeighborListOptions,
    selected_atoms: Optional[Labels],
) -> Labels:
    """Labels of all pairs of atoms in a neighbor list, in order.

    :param systems: structures, with the neighbor list.
    :param neighbor_list: which neighbor list.
    :param selected_atoms: allowed first atoms of pairs; all by default.
    """
    centers = atom_labels(systems)
    samples = get_pair_sample_labels(centers, systems=systems, nl_options=neighbor_list)
    if selected_atoms is None:
        return samples
    first_atoms = Labels(["system", "first_atom"], selected_atoms.values)
    return Labels(samples.names, samples.values[samples.select(first_atoms)])


def feature_maps(
    values: Dict[str, torch.Tensor], samples: Labels, properties: Labels, keys: Labels
) -> Dict[str, TensorMap]:
    """Label features.

    :param values: for every output, ``(samples, features)``
    :param samples: labels of the atoms.
    :param properties: labels of the features.
    :param keys: the single key.
    """
    maps: Dict[str, TensorMap] = {}
    for name, features in values.items():
        block = TensorBlock(features, samples, [], properties.to(features.device))
        maps[name] = TensorMap(keys.to(features.device), [block])
    return maps


class TargetLabels(torch.nn.Module):
    """The labels of one target.

    :param name: name of the target.
    :param info: the target, in dense form for atomic-basis targets.
    """

    components: List[List[Labels]]  # for every block
    properties: List[Labels]

    def __init__(self, name: str, info: TargetInfo) -> None:
        super().__init__()
        self.is_stress = is_stress(name)
        self.keys = info.layout.keys
        self.components = info.component_labels
        self.properties = info.property_labels

    def forward(
        self, values: List[torch.Tensor], samples: Labels, systems: List[System]
    ) -> TensorMap:
        """Label the values.

        :param values: for every block, ``(samples, *components, properties)``
        :param samples: labels of the atoms or pairs.
        :param systems: structures that these belong to.
        """
        blocks: List[TensorBlock] = []
        for i, x in enumerate(values):
            if self.is_stress:
                x = symmetric_per_volume(x, samples, systems)
            components = [labels.to(x.device) for labels in self.components[i]]
            properties = self.properties[i].to(x.device)
            blocks.append(TensorBlock(x, samples, components, properties))
        return TensorMap(self.keys.to(samples.device), blocks)


def symmetric_per_volume(
    tensors: torch.Tensor, samples: Labels, systems: List[System]
) -> torch.Tensor:
    """The symmetric part of tensors, divided by the volume of the cell, for a stress.

    :param tensors: Cartesian tensors of rank 2, ``(atoms, 3, 3, properties)``
    :param samples: labels of the atoms.
    :param systems: structures that the atoms belong to; those without a cell of finite
        volume get zero.
    """
    volumes = torch.stack([torch.abs(torch.det(system.cell)) for system in systems])
    volumes = torch.where(volumes > 0, volumes, torch.full_like(volumes, torch.inf))
    of_atoms = volumes[samples.column("system")].reshape(-1, 1, 1, 1)
    return 0.5 * (tensors + tensors.transpose(1, 2)) / of_atoms
