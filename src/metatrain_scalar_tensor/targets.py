"""From features and tensors to a target: coefficients, sum, and TensorMap."""

from typing import Dict, List, Optional

import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import System
from metatrain.utils.data import TargetInfo

from .basis import TensorBases, basis_name
from .o3 import Irrep, cartesian_irreps


def target_irreps(
    name: str, info: TargetInfo, symmetry: Optional[str]
) -> List[List[Irrep]]:
    """The irreducible tensors that make up every block of a target.

    :param name: name of the target, for the error messages.
    :param info: the target, atomic-basis ones in their dense form.
    :param symmetry: exchanges of Cartesian indices that change nothing, such as
        ``ij=ji``; ``None`` for none.
    :return: for every block of the layout the irreps whose components, stacked, are the
        components of the block, up to a change of basis for Cartesian blocks.
    :raises ValueError: for a kind of target that this architecture does not predict.
    """
    if info.sample_kind == "atom_pair":
        raise ValueError(
            f"target '{name}' is one of pairs of atoms ('sample_kind: atom_pair'), "
            "which experimental.scalar_tensor does not predict: use 'system' or 'atom'"
        )
    if symmetry is not None and not info.is_cartesian:
        raise ValueError(
            f"target '{name}' has no Cartesian indices: take it out of "
            "'model.index_symmetry'"
        )
    irreps: List[List[Irrep]] = []
    for key, block in info.layout.items():
        rank = len(block.components)
        if info.is_scalar:
            irreps.append([Irrep(0, 1)])
        elif info.is_cartesian:
            irreps.append(cartesian_irreps(rank, symmetry)[0])
        elif info.is_spherical and rank == 1:
            irreps.append([Irrep(int(key["o3_lambda"]), int(key["o3_sigma"]))])
        else:
            raise ValueError(
                f"target '{name}' is a spherical tensor of rank {rank} ('product: "
                "cartesian'), which experimental.scalar_tensor does not predict: use "
                "'product: coupled', or no product"
            )
    return irreps


def is_stress(name: str) -> bool:
    """Whether a target is a stress, by the ecosystem's standard name.

    :param name: name of the target, possibly of a variant:
        ``non_conservative_stress/pbe``.
    """
    return name.split("/")[0] == "non_conservative_stress"


def symmetric_per_volume(prediction: TensorMap, systems: List[System]) -> TensorMap:
    """Turn rank-2 tensors of atoms into their contributions to a stress.

    :param prediction: Cartesian rank-2 tensors with atoms as samples.
    :param systems: structures that the atoms belong to. Those without a cell of finite
        volume have no stress, and get zero.
    :return: the symmetric part of the tensors, divided by the volume of the cell.
    """
    volumes = torch.stack([torch.abs(torch.det(system.cell)) for system in systems])
    volumes = torch.where(volumes > 0, volumes, torch.full_like(volumes, torch.inf))
    blocks: List[TensorBlock] = []
    for block in prediction.blocks():
        values = 0.5 * (block.values + block.values.transpose(1, 2))
        system_index = block.samples.column("system")
        values = values / volumes[system_index].reshape(-1, 1, 1, 1)
        blocks.append(
            TensorBlock(values, block.samples, block.components, block.properties)
        )
    return TensorMap(prediction.keys, blocks)


class BlockHead(torch.nn.Module):
    r"""One block of a target: :math:`\sum_b c_b B_b` for each of its irreps.

    :param irreps: irreps that make up the block.
    :param block: layout of the block.
    :param num_features: number of features, of which the coefficients are linear.
    :param num_tensors: number of tensors of each irrep.
    :param to_cartesian: matrix from the components of the irreps to those of the block,
        ``(Σ (2λ + 1), ...)``; ``None`` if they are the same.
    """

    shape: List[int]  # lengths of the component axes
    to_cartesian: torch.Tensor  # (Σ (2λ + 1), 3 · 3 · ...)

    def __init__(
        self,
        irreps: List[Irrep],
        block: TensorBlock,
        num_features: int,
        num_tensors: List[int],
        to_cartesian: Optional[torch.Tensor],
    ) -> None:
        super().__init__()
        self.shape = [len(component) for component in block.components]
        self.num_properties = len(block.properties)
        self.num_tensors = num_tensors
        self.basis_names = [basis_name(irrep) for irrep in irreps]
        self.coefficients = torch.nn.ModuleList(
            torch.nn.Linear(num_features, size * self.num_properties, bias=False)
            for size in num_tensors
        )
        for weights, size in zip(
            self.coefficients.parameters(), num_tensors, strict=True
        ):  # so that the sum over the tensors is as large as one of them
            weights.data.mul_(size**-0.5)
        self.is_cartesian = to_cartesian is not None
        to_cartesian = (
            torch.empty(0) if to_cartesian is None else to_cartesian.flatten(1)
        )
        self.register_buffer("to_cartesian", to_cartesian, persistent=False)

    def forward(
        self, features: torch.Tensor, bases: Dict[str, torch.Tensor]
    ) -> torch.Tensor:
        """Evaluate the block.

        :param features: ``(atoms, num_features)``
        :param bases: the tensors of every symmetry, ``(atoms, 2λ + 1, num_tensors)``
        :return: ``(atoms, *components, properties)``
        """
        spherical: List[torch.Tensor] = []
        for i, linear in enumerate(self.coefficients):
            c = linear(features).reshape(
                features.shape[0], self.num_tensors[i], self.num_properties
            )  # (atoms, tensors, properties)
            spherical.append(bases[self.basis_names[i]] @ c)
        values = torch.cat(spherical, dim=1)  # (atoms, Σ (2λ + 1), properties)
        if self.is_cartesian:
            values = self.to_cartesian.T @ values
        return values.reshape([features.shape[0]] + self.shape + [self.num_properties])


class TargetHead(torch.nn.Module):
    """One target: its last-layer features, its blocks and their labels.

    :param name: name of the target.
    :param info: the target, atomic-basis ones in their dense form.
    :param num_features: number of features of an atom.
    :param bases: the tensors, those of all irreps of the target among them.
    :param symmetry: exchanges of Cartesian indices that change nothing.
    """

    components: List[List[Labels]]  # of every block
    properties: List[Labels]

    def __init__(
        self,
        name: str,
        info: TargetInfo,
        num_features: int,
        bases: TensorBases,
        symmetry: Optional[str] = None,
    ) -> None:
        super().__init__()
        self.is_stress = is_stress(name)
        self.hidden = torch.nn.Sequential(
            torch.nn.Linear(num_features, num_features), torch.nn.SiLU()
        )
        irreps = target_irreps(name, info, symmetry)
        rank = len(info.layout.block(0).components)
        to_cartesian = (
            cartesian_irreps(rank, symmetry)[1] if info.is_cartesian else None
        )
        self.blocks = torch.nn.ModuleList(
            BlockHead(
                block_irreps,
                block,
                num_features,
                [bases.num_tensors(irrep) for irrep in block_irreps],
                to_cartesian,
            )
            for block_irreps, block in zip(irreps, info.layout.blocks(), strict=True)
        )
        self.basis_names = sorted({basis_name(irrep) for irrep in sum(irreps, [])})
        self.keys = info.layout.keys
        self.components = info.component_labels
        self.properties = info.property_labels

    def last_layer_features(self, features: torch.Tensor) -> torch.Tensor:
        """The features of which this target is a linear function.

        :param features: ``(atoms, num_features)``
        :return: ``(atoms, num_features)``
        """
        return self.hidden(features)

    def forward(
        self,
        features: torch.Tensor,
        bases: Dict[str, torch.Tensor],
        samples: Labels,
        systems: List[System],
    ) -> TensorMap:
        """Predict the contribution of every atom to the target.

        :param features: last-layer features, ``(atoms, num_features)``
        :param bases: the tensors of every symmetry, ``(atoms, 2λ + 1, num_tensors)``
        :param samples: labels of the atoms.
        :param systems: structures that the atoms belong to.
        :return: the target, with its dense layout and atoms as samples.
        """
        device = features.device
        blocks: List[TensorBlock] = []
        for i, block in enumerate(self.blocks):
            blocks.append(
                TensorBlock(
                    block(features, bases),
                    samples,
                    [component.to(device) for component in self.components[i]],
                    self.properties[i].to(device),
                )
            )
        prediction = TensorMap(self.keys.to(device), blocks)
        if self.is_stress:
            prediction = symmetric_per_volume(prediction, systems)
        return prediction
