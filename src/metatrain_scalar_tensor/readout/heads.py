"""From features and tensors to the values of a target."""

from typing import Dict, List, Optional

import torch

from ..basis import TensorBases, basis_name
from ..o3 import on_components
from .exchange import ExchangeSymmetry
from .irreps import TargetBlock


class BlockHead(torch.nn.Module):
    r"""One block of a target: :math:`\sum_b c_b B_b` for each of its irreps.

    :param block: irreps and shape of the block.
    :param num_features: number of features; the coefficients are linear in them.
    :param num_tensors: number of tensors of each irrep.
    """

    shape: List[int]  # lengths of the component axes
    change_of_basis: torch.Tensor  # (Σ (2λ + 1), components of the block)

    def __init__(
        self, block: TargetBlock, num_features: int, num_tensors: List[int]
    ) -> None:
        super().__init__()
        self.shape = block.shape
        self.num_properties = block.num_properties
        self.num_tensors = num_tensors
        self.basis_names = [basis_name(irrep) for irrep in block.irreps]
        self.num_components = [2 * irrep.o3_lambda + 1 for irrep in block.irreps]
        self.coefficients = torch.nn.ModuleList(
            torch.nn.Linear(num_features, size * self.num_properties, bias=False)
            for size in num_tensors
        )
        for weights, size in zip(
            self.coefficients.parameters(), num_tensors, strict=True
        ):  # makes the sum over the tensors as large as one of them
            weights.data.mul_(size**-0.5)
        change = block.change_of_basis
        self.is_irreducible = change is None
        change = torch.empty(0) if change is None else change.flatten(1)
        self.register_buffer("change_of_basis", change, persistent=False)

    def forward(
        self, features: torch.Tensor, bases: Dict[str, torch.Tensor]
    ) -> torch.Tensor:
        """Evaluate the block.

        :param features: ``(centers, num_features)``
        :param bases: the tensors of every symmetry, ``(centers, 2λ + 1, num_tensors)``
        :return: ``(centers, *components, properties)``
        """
        spherical: List[torch.Tensor] = []
        for i, linear in enumerate(self.coefficients):
            c = linear(features).reshape(
                features.shape[0], self.num_tensors[i], self.num_properties
            )  # (centers, tensors, properties)
            spherical.append(bases[self.basis_names[i]] @ c)
        values = torch.cat(spherical, dim=1)  # (centers, Σ (2λ + 1), properties)
        if not self.is_irreducible:
            values = on_components(self.change_of_basis.T, values)
        return values.reshape([features.shape[0]] + self.shape + [self.num_properties])


class TargetHead(torch.nn.Module):
    """One target of atoms or of pairs: its last-layer features and its blocks.

    :param blocks: irreps and shape of each block.
    :param num_features: number of features of a center.
    :param bases: the tensors, to which those of missing irreps are added.
    :param exchange: symmetry under exchange of atoms or indices, if any.
    :raises ValueError: if there are no tensors of a symmetry.
    """

    def __init__(
        self,
        blocks: List[TargetBlock],
        num_features: int,
        bases: TensorBases,
        exchange: Optional[ExchangeSymmetry],
    ) -> None:
        super().__init__()
        irreps = [irrep for block in blocks for irrep in block.irreps]
        for irrep in irreps:
            bases.add(irrep)
        self.hidden = torch.nn.Sequential(
            torch.nn.Linear(num_features, num_features), torch.nn.SiLU()
        )
        self.blocks = torch.nn.ModuleList()
        for block in blocks:
            num_tensors = [bases.num_tensors(irrep) for irrep in block.irreps]
            self.blocks.append(BlockHead(block, num_features, num_tensors))
        self.basis_names = sorted({basis_name(irrep) for irrep in irreps})
        self.exchange = exchange

    @torch.jit.unused
    @torch.no_grad()
    def predict_zero(self) -> None:
        """Set all coefficients to zero, for targets with nothing left to learn."""
        for block in self.blocks:
            for weights in block.coefficients.parameters():  # type: ignore[union-attr]
                weights.zero_()

    @torch.jit.export
    def last_layer_features(self, features: torch.Tensor) -> torch.Tensor:
        """The inputs of the last linear layer, ``(centers, num_features)``."""
        return self.hidden(features)

    def forward(
        self,
        features: torch.Tensor,
        bases: Dict[str, torch.Tensor],
        opposite: Optional[torch.Tensor],
    ) -> List[torch.Tensor]:
        """Predict the contributions of atoms to the target, or its values for pairs.

        :param features: ``(centers, num_features)``
        :param bases: the tensors of every symmetry, ``(centers, 2λ + 1, num_tensors)``
        :param opposite: as in :meth:`Readout.forward`.
        :return: for every block, ``(centers, *components, properties)``
        """
        last_layer = self.last_layer_features(features)
        values: List[torch.Tensor] = []
        for block in self.blocks:
            values.append(block(last_layer, bases))
        if self.exchange is not None:
            values = self.exchange(values, opposite)
        return values
