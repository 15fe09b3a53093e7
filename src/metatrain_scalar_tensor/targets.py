"""From features and tensors to a target: coefficients, sum, and TensorMap."""

import re
from typing import Dict, List, NamedTuple, Optional

import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import ModelOutput, System
from metatrain.utils.data import TargetInfo

from .basis import TensorBases, basis_name
from .exchange import ExchangeSymmetry
from .o3 import Irrep, cartesian_irreps, on_components, product_irreps


def check_name_and_unit(name: str, unit: str) -> None:
    """Refuse names and units that metatensor, metatomic or PyTorch can't take.

    :param name: name of the target.
    :param unit: its unit.
    :raises ValueError: if they can't, with the name and a better one.
    """
    base, _, variant = name.removeprefix("mtt::").partition("/")
    if not (base.isidentifier() and base.isascii()) or "." in variant:
        better = re.sub(r"[^A-Za-z0-9_]", "_", base)
        better = f"mtt::{better}" if better.isidentifier() else "mtt::y"
        raise ValueError(
            f"'{name}' can't be the name of a target: it needs letters, digits and "
            f"'_', and no digit in front. Call it '{better}', say"
        )
    if base in ("feature", "features"):
        raise ValueError(
            f"'{name}' can't be the name of a target, since all models have an output "
            "of this name: call it 'mtt::y', say"
        )
    try:
        ModelOutput(unit=unit)
    except Exception as error:
        raise ValueError(
            f"the unit '{unit}' of target '{name}' is none that metatomic knows "
            f"({error}): leave 'unit' out, the values stay as they are, or write it "
            "with units such as eV, Hartree, kcal/mol, angstrom, bohr, e, u, fs"
        ) from error


class BlockIrreps(NamedTuple):
    """The irreducible tensors that make up one block of a target."""

    irreps: List[Irrep]
    change_of_basis: Optional[torch.Tensor]
    """From their stacked components to those of the block, ``(Σ (2λ + 1), ...)``;
    ``None`` if they are the same."""


def target_irreps(
    name: str, info: TargetInfo, symmetry: Optional[str]
) -> List[BlockIrreps]:
    """The irreducible tensors that make up every block of a target.

    :param name: name of the target, for the error messages.
    :param info: the target, atomic-basis ones in their dense form.
    :param symmetry: exchanges of Cartesian indices that change nothing, such as
        ``ij=ji``; ``None`` for none.
    :return: the irreps of every block of the layout.
    :raises ValueError: if there is a symmetry of indices, but there are no indices.
    """
    if symmetry is not None and not info.is_cartesian:
        raise ValueError(
            f"target '{name}' has no Cartesian indices: take it out of "
            "'model.index_symmetry'"
        )
    blocks: List[BlockIrreps] = []
    for key, block in info.layout.items():
        rank = len(block.components)
        if info.is_scalar:
            blocks.append(BlockIrreps([Irrep(0, 1)], None))
        elif info.is_cartesian:
            blocks.append(BlockIrreps(*cartesian_irreps(rank, symmetry)))
        elif rank == 1:
            irrep = Irrep(int(key["o3_lambda"]), int(key["o3_sigma"]))
            blocks.append(BlockIrreps([irrep], None))
        else:  # 'product: cartesian'
            first, second = [
                Irrep(int(key[f"o3_lambda_{i}"]), int(key[f"o3_sigma_{i}"]))
                for i in (1, 2)
            ]
            blocks.append(BlockIrreps(*product_irreps(first, second)))
    return blocks


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
    """

    shape: List[int]  # lengths of the component axes
    change_of_basis: torch.Tensor  # (Σ (2λ + 1), components of the block)

    def __init__(
        self,
        irreps: BlockIrreps,
        block: TensorBlock,
        num_features: int,
        num_tensors: List[int],
    ) -> None:
        super().__init__()
        self.shape = [len(component) for component in block.components]
        self.num_properties = len(block.properties)
        self.num_tensors = num_tensors
        self.basis_names = [basis_name(irrep) for irrep in irreps.irreps]
        self.coefficients = torch.nn.ModuleList(
            torch.nn.Linear(num_features, size * self.num_properties, bias=False)
            for size in num_tensors
        )
        for weights, size in zip(
            self.coefficients.parameters(), num_tensors, strict=True
        ):  # so that the sum over the tensors is as large as one of them
            weights.data.mul_(size**-0.5)
        change = irreps.change_of_basis
        self.is_irreducible = change is None
        change = torch.empty(0) if change is None else change.flatten(1)
        self.register_buffer("change_of_basis", change, persistent=False)

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
        if not self.is_irreducible:
            values = on_components(self.change_of_basis.T, values)
        return values.reshape([features.shape[0]] + self.shape + [self.num_properties])


class TargetHead(torch.nn.Module):
    """One target: its last-layer features, its blocks and their labels.

    :param name: name of the target.
    :param info: the target, atomic-basis ones in their dense form.
    :param irreps: irreps of its blocks.
    :param num_features: number of features of an atom, or of a pair.
    :param bases: the tensors, to which those of the irreps are added.
    :param exchange: symmetry under exchange of atoms or indices, if there is one.
    :raises ValueError: if there are no tensors of a symmetry.
    """

    components: List[List[Labels]]  # of every block
    properties: List[Labels]

    def __init__(
        self,
        name: str,
        info: TargetInfo,
        irreps: List[BlockIrreps],
        num_features: int,
        bases: TensorBases,
        exchange: Optional[ExchangeSymmetry],
    ) -> None:
        super().__init__()
        for irrep in [irrep for of_block in irreps for irrep in of_block.irreps]:
            try:
                bases.add(irrep)
            except ValueError as error:
                raise ValueError(f"target '{name}': {error}") from error
        self.is_stress = is_stress(name)
        self.hidden = torch.nn.Sequential(
            torch.nn.Linear(num_features, num_features), torch.nn.SiLU()
        )
        self.blocks = torch.nn.ModuleList(
            BlockHead(
                of_block,
                block,
                num_features,
                [bases.num_tensors(irrep) for irrep in of_block.irreps],
            )
            for of_block, block in zip(irreps, info.layout.blocks(), strict=True)
        )
        self.basis_names = sorted(
            {basis_name(irrep) for of_block in irreps for irrep in of_block.irreps}
        )
        self.exchange = exchange
        self.keys = info.layout.keys
        self.components = info.component_labels
        self.properties = info.property_labels

    @torch.jit.unused
    @torch.no_grad()
    def predict_zero(self) -> None:
        """Make all coefficients zero, where nothing is left to learn."""
        for block in self.blocks:
            for weights in block.coefficients.parameters():  # type: ignore[union-attr]
                weights.zero_()

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
        opposite: Optional[torch.Tensor],
    ) -> TensorMap:
        """Predict the contribution of every atom to the target, or its value for pairs.

        :param features: last-layer features, ``(atoms, num_features)``
        :param bases: the tensors of every symmetry, ``(atoms, 2λ + 1, num_tensors)``
        :param samples: labels of the atoms, or of the pairs.
        :param systems: structures that the atoms belong to.
        :param opposite: the place of every pair seen from its other atom; ``None`` for
            atoms.
        :return: the target, with its dense layout and atoms or pairs as samples.
        """
        device = features.device
        values: List[torch.Tensor] = []
        for block in self.blocks:
            values.append(block(features, bases))
        if self.exchange is not None:
            values = self.exchange(values, opposite)
        blocks: List[TensorBlock] = []
        for i in range(len(values)):
            blocks.append(
                TensorBlock(
                    values[i],
                    samples,
                    [component.to(device) for component in self.components[i]],
                    self.properties[i].to(device),
                )
            )
        prediction = TensorMap(self.keys.to(device), blocks)
        if self.is_stress:
            prediction = symmetric_per_volume(prediction, systems)
        return prediction
