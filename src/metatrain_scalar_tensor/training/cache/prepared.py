"""A data set in memory, in the form that the model and the loss need.

metatrain's collate function (neighbor lists, baselines, joining) has the same results
in every epoch. Here it is applied once, and a batch is a selection of rows.
"""

from typing import Dict, List, NamedTuple, Optional

import numpy as np
import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import System

from ...interface.architecture import ScalarTensor
from .fixed_edges import EdgesInMemory, FixedEdges
from .groups import Groups


class Batch(NamedTuple):
    """The data of one training step."""

    systems: List[System]
    targets: Dict[str, TensorMap]  # per atom, as in the loss
    extra: Dict[str, TensorMap]
    edges: Optional[FixedEdges] = None  # if kept in memory
    density: Optional[List[torch.Tensor]] = None  # if kept in memory


class PreparedSet(torch.utils.data.Dataset):
    """Prepared structures and targets, from which batches are taken.

    The items of this dataset are the numbers of the structures, which :meth:`take`
    turns into batches.

    :param structures: batches of one structure each, all with the same targets.
    """

    def __init__(self, structures: List[Batch]) -> None:
        self.systems = [structure.systems[0] for structure in structures]
        self.targets = {
            name: _Tensors([structure.targets[name] for structure in structures])
            for name in structures[0].targets
        }
        self.extra = {
            name: _Tensors([structure.extra[name] for structure in structures])
            for name in structures[0].extra
        }
        self.num_atoms = torch.tensor([len(system) for system in self.systems])
        self.atoms = Groups(torch.repeat_interleave(self.num_atoms), len(self))
        self.edges: Optional[EdgesInMemory] = None
        self.density: Optional[List[torch.Tensor]] = None

    def __len__(self) -> int:
        return len(self.systems)

    def __getitem__(self, index: int) -> int:
        return index

    def get_all_atom_counts(self) -> np.ndarray:
        """Number of atoms in each structure, for metatrain's sampler."""
        return self.num_atoms.numpy()

    @torch.no_grad()
    def keep_density(self, model: ScalarTensor, batch_size: int) -> None:
        """Compute the density of all atoms, which must no longer change."""
        parts: List[List[torch.Tensor]] = []
        for first in range(0, len(self), batch_size):
            systems = self.systems[first : first + batch_size]
            parts.append(model.model.look(model.read(systems)).density)
        self.density = [torch.cat(of_l) for of_l in zip(*parts, strict=True)]

    def take(self, structures: List[int]) -> Batch:
        """Make a batch of the structures with these numbers."""
        numbers = torch.tensor(structures)
        edges, density = None, None
        if self.edges is not None:
            edges = self.edges.take(numbers)
        if self.density is not None:
            rows, _ = self.atoms.take(numbers)
            density = [x[rows.to(x.device)] for x in self.density]
        return Batch(
            [self.systems[i] for i in structures],
            {name: tensors.take(numbers) for name, tensors in self.targets.items()},
            {name: tensors.take(numbers) for name, tensors in self.extra.items()},
            edges,
            density,
        )


class _Rows:
    """The samples of one block, or of one of its gradients.

    :param blocks: the parts to join.
    :param parent: number of the structure that each sample belongs to or, for
        gradients, of the sample of the block.
    :param num_parents: number of parents.
    """

    def __init__(
        self, blocks: List[TensorBlock], parent: torch.Tensor, num_parents: int
    ) -> None:
        self.components = blocks[0].components
        self.properties = blocks[0].properties
        self.names = blocks[0].samples.names
        self.values = torch.cat([block.values for block in blocks])
        self.samples = torch.cat([block.samples.values for block in blocks]).cpu()
        self.groups = Groups(parent, num_parents)
        self.gradients: Dict[str, _Rows] = {}
        first_row = np.cumsum([0] + [len(block.samples) for block in blocks])
        for name in blocks[0].gradients_list():
            gradients = [block.gradient(name) for block in blocks]
            row = [
                gradient.samples.column("sample").cpu() + int(first)
                for gradient, first in zip(gradients, first_row)
            ]
            self.gradients[name] = _Rows(gradients, torch.cat(row), len(self.values))

    def take(self, parents: torch.Tensor, system: torch.Tensor) -> TensorBlock:
        """The block of some parents, each of which belongs to a system in the batch."""
        rows, position = self.groups.take(parents)
        samples = self.samples[rows]
        renumbered = {"sample": position, "system": system[position]}
        for name, numbers in renumbered.items():
            if name in self.names:
                samples[:, self.names.index(name)] = numbers.to(samples.dtype)
        device = self.values.device
        block = TensorBlock(
            self.values[rows.to(device)],
            Labels(self.names, samples, assume_unique=True).to(device),
            self.components,
            self.properties,
        )
        for name, gradient in self.gradients.items():
            block.add_gradient(name, gradient.take(rows, system[position]))
        return block


class _Tensors:
    """One target of all structures, each of which may lack some of the blocks."""

    def __init__(self, tensors: List[TensorMap]) -> None:
        self.keys = tensors[0].keys
        for tensor in tensors:
            self.keys = self.keys.union(tensor.keys)
        self.blocks: List[_Rows] = []
        for key in self.keys:
            having = [i for i, tensor in enumerate(tensors) if key in tensor.keys]
            blocks = [tensors[i].block(key) for i in having]
            num_rows = torch.tensor([len(block.samples) for block in blocks])
            structure = torch.repeat_interleave(torch.tensor(having), num_rows)
            self.blocks.append(_Rows(blocks, structure, len(tensors)))

    def take(self, systems: torch.Tensor) -> TensorMap:
        """The target of some structures."""
        number = torch.arange(len(systems))
        return TensorMap(
            self.keys, [rows.take(systems, number) for rows in self.blocks]
        )
