"""From features and tensors to the values of a target."""

from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import torch

from ..basis import TensorBases, basis_name
from ..o3 import Irrep, on_components
from .coefficients import Coefficients
from .exchange import ExchangeSymmetry
from .irreps import TargetBlock
from .linear import LinearTerm
from .members import Members


class Centers(NamedTuple):
    """What is known about the scalars of atoms or of pairs of atoms."""

    features: torch.Tensor
    """Output of the network, ``(centers, num_features)``"""
    invariants: torch.Tensor
    """Normalised invariants, ``(centers, num_invariants)``"""
    functions: torch.Tensor
    """Functions of these, ``(centers, num_functions)``: in which scalars are linear if
    their target has coefficients for every type"""
    types: torch.Tensor
    """Index of the type of each atom, or of the two of a pair, ``(centers,)``"""
    positions: torch.Tensor
    """Those of atoms in their molecule, ``(centers, 3)``; without columns if they are
    not needed"""


class BlockHead(torch.nn.Module):
    r"""One block of a target: :math:`\sum_b c_b B_b` for each of its irreps.

    Scalars have a :class:`LinearTerm` besides.

    :param block: irreps and shape of the block.
    :param num_tensors: number of tensors of each irrep.
    :param num_scalars: number of scalars in the linear terms; zero for none.
    :param num_types: number of center types.
    """

    shape: List[int]  # lengths of the component axes
    change_of_basis: torch.Tensor  # (Σ (2λ + 1), components of the block)

    scalars: torch.Tensor  # positions of the scalars among the Σ (2λ + 1) components

    def __init__(
        self,
        block: TargetBlock,
        num_tensors: List[int],
        num_scalars: int,
        num_types: int,
    ) -> None:
        super().__init__()
        self.shape = block.shape
        self.num_properties = block.num_properties
        self.num_tensors = num_tensors
        self.basis_names = [basis_name(irrep) for irrep in block.irreps]
        self.num_components = [2 * irrep.o3_lambda + 1 for irrep in block.irreps]
        change = block.change_of_basis
        self.is_irreducible = change is None
        change = torch.empty(0) if change is None else change.flatten(1)
        self.register_buffer("change_of_basis", change, persistent=False)

        scalars = [
            sum(self.num_components[:i])
            for i, irrep in enumerate(block.irreps)
            if irrep == Irrep(0, 1)
        ]
        self.register_buffer("scalars", torch.tensor(scalars), persistent=False)
        self.linear: Optional[LinearTerm] = None
        if len(scalars) > 0 and num_scalars > 0:
            num_outputs = len(scalars) * self.num_properties
            self.linear = LinearTerm(num_types, num_scalars, num_outputs)

    def forward(
        self,
        coefficients: List[torch.Tensor],
        scalars: torch.Tensor,
        types: torch.Tensor,
        tensors: Dict[str, torch.Tensor],
        member: int,
    ) -> torch.Tensor:
        """Evaluate the block.

        :param coefficients: for every irrep, ``(centers, tensors · properties)``
        :param scalars: those in the linear term, ``(centers, num_scalars)``
        :param types: index of the type of every center, ``(centers,)``
        :param tensors: those of every symmetry, ``(centers, 2λ + 1, num_tensors)``
        :param member: as in :meth:`Members.forward`.
        :return: ``(centers, *components, properties)``
        """
        num_centers = len(types)
        spherical: List[torch.Tensor] = []
        for i, c in enumerate(coefficients):
            c = c.reshape(num_centers, self.num_tensors[i], self.num_properties)
            spherical.append(tensors[self.basis_names[i]] @ c)
        values = torch.cat(spherical, dim=1)  # (centers, Σ (2λ + 1), properties)
        if self.linear is not None:
            terms = self.linear(scalars, types, member)
            terms = terms.unflatten(1, [len(self.scalars), self.num_properties])
            values = values.index_add(1, self.scalars, terms)
        if not self.is_irreducible:
            values = on_components(self.change_of_basis.T, values)
        return values.reshape([num_centers] + self.shape + [self.num_properties])


class TargetHead(torch.nn.Module):
    """One target of atoms or of pairs: its last-layer features and its blocks.

    :param blocks: irreps and shape of each block.
    :param bases: the tensors, to which those of missing irreps are added.
    :param num_features: number of features of a center.
    :param num_scalars: number of scalars in the linear terms; zero for none.
    :param num_types: number of center types.
    :param are_shared: whether all types of centers have the same coefficients.
    :param exchange: symmetry under exchange of atoms or indices, if any.
    :raises ValueError: if there are no tensors of a symmetry.
    """

    def __init__(
        self,
        blocks: List[TargetBlock],
        bases: TensorBases,
        num_features: int,
        num_scalars: int,
        num_types: int,
        are_shared: bool,
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
        sizes: List[Tuple[int, int]] = []  # numbers of tensors and of properties
        self.first_irreps = [0]  # of every block among those of all, and their number
        for block in blocks:
            num_tensors = [
                bases.num_tensors(irrep) + int(block.has_charges)
                for irrep in block.irreps
            ]
            self.blocks.append(BlockHead(block, num_tensors, num_scalars, num_types))
            sizes += [(number, block.num_properties) for number in num_tensors]
            self.first_irreps.append(len(sizes))
        self.are_shared = are_shared
        num_kinds = 1 if are_shared else num_types
        self.coefficients = Coefficients(num_kinds, num_features, sizes)
        self.basis_names = sorted({basis_name(irrep) for irrep in irreps})
        self.has_charges = any(block.has_charges for block in blocks)
        self.vectors_name = basis_name(Irrep(1, 1))
        self.exchange = exchange

    @torch.jit.unused
    @torch.no_grad()
    def predict_zero(self) -> None:
        """Set all coefficients to zero, for targets with nothing left to learn."""
        for weights in self.last_weights():
            weights.zero_()

    @torch.jit.unused
    def last_weights(self) -> List[torch.nn.Parameter]:
        """The weights that the target is linear in."""
        return [*self.coefficients.parameters(), *self.blocks.parameters()]

    @torch.jit.export
    def last_layer_features(self, features: torch.Tensor) -> torch.Tensor:
        """The inputs of the last linear layer, ``(centers, num_features)``."""
        return self.hidden(features)

    @torch.jit.export
    def tensors(
        self, bases: Dict[str, torch.Tensor], centers: Centers
    ) -> Dict[str, torch.Tensor]:
        r"""What the coefficients are multiplied with.

        The dipole of charges :math:`q` relative to the center of a neutral molecule is

        .. math::
            \sum_i \Big(q_i - \frac1N \sum_j q_j\Big) r_i
            = \sum_i q_i \, (r_i - \bar r),

        so that charges are coefficients of the position in the molecule.

        :param bases: the tensors of every symmetry, ``(centers, 2λ + 1, num_tensors)``
        :param centers: scalars of the centers.
        :return: the same and, for a target with charges, the position as last vector.
        """
        if not self.has_charges:
            return bases
        vectors = centers.positions[:, [1, 2, 0]]  # in the order of λ = 1: y, z, x
        name = self.vectors_name
        with_positions = {key: values for key, values in bases.items()}
        with_positions[name] = torch.cat([bases[name], vectors.unsqueeze(2)], dim=2)
        return with_positions

    @torch.jit.export
    def scalars(self, centers: Centers) -> torch.Tensor:
        """What scalars are linear in, ``(centers, num_scalars)``."""
        return centers.invariants if self.are_shared else centers.functions

    @torch.jit.export
    def num_members(self) -> int:
        """The number of members of the ensemble; 0 for none."""
        return len(self.coefficients.members.differences)

    @torch.jit.unused
    def reset_members(self, number: int) -> None:
        """Make room for members of the ensemble, which are NaN at first.

        :param number: how many; 0 to remove them.
        """
        for module in self.modules():
            if isinstance(module, Members):
                module.reset(number)

    @torch.jit.unused
    def add_types(self, num_types: int, known: torch.Tensor) -> None:
        """Add center types; ``known`` has the positions of the known ones among all.

        Members of the ensemble are removed, since they say nothing about new types.
        """
        self.reset_members(0)
        block: Any  # mypy takes its modules for tensors
        for block in self.blocks:
            if block.linear is not None:
                block.linear.add_types(num_types, known)

    def forward(
        self,
        centers: Centers,
        bases: Dict[str, torch.Tensor],
        opposite: Optional[torch.Tensor],
        with_members: bool,
    ) -> List[List[torch.Tensor]]:
        """Predict the contributions of atoms to the target, or its values for pairs.

        :param centers: scalars of the centers.
        :param bases: the tensors of every symmetry, ``(centers, 2λ + 1, num_tensors)``
        :param opposite: as in :meth:`Readout.forward`.
        :param with_members: whether to evaluate the members of the ensemble, too.
        :return: for every block, ``(centers, *components, properties)``; then the
            same for the difference of every member from that.
        """
        last_layer = self.last_layer_features(centers.features)
        tensors, scalars = self.tensors(bases, centers), self.scalars(centers)
        draws: List[List[torch.Tensor]] = []
        for member in range(-1, self.num_members() if with_members else 0):
            c = self.coefficients(last_layer, centers.types, member)
            values: List[torch.Tensor] = []
            for i, block in enumerate(self.blocks):
                of_block = c[self.first_irreps[i] : self.first_irreps[i + 1]]
                values.append(block(of_block, scalars, centers.types, tensors, member))
            if self.exchange is not None:
                values = self.exchange(values, opposite)
            draws.append(values)
        return draws
