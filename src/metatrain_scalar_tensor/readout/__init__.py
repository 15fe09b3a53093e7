"""From the features and the density of centers to the values of targets."""

from typing import Any, Dict, List, Optional, Set

import torch

from ..basis import TensorBases
from ..documentation import TensorBasisHypers
from .atom_pairs import AtomPairs
from .exchange import ExchangeSymmetry, exchange_symmetry
from .heads import Centers, TargetHead
from .irreps import TargetBlock, center_of, target_blocks


class Readout(torch.nn.Module):
    """The targets of one kind of center: atoms or pairs of atoms.

    :param hypers: how many tensors to use.
    :param max_angular: largest angular channel of the density.
    :param num_channels: number of channels of the density.
    :param num_features: number of features of a center.
    :param num_invariants: number of invariants, in which scalars have a linear term.
    :param num_functions: number of functions of these, which take their place for
        targets with coefficients for every type.
    :param num_types: number of center types.
    """

    def __init__(
        self,
        hypers: TensorBasisHypers,
        max_angular: int,
        num_channels: int,
        num_features: int,
        num_invariants: int,
        num_functions: int,
        num_types: int,
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.num_invariants, self.num_functions = num_invariants, num_functions
        self.num_types = num_types
        self.bases = TensorBases(hypers, max_angular, num_channels)
        self.heads = torch.nn.ModuleDict()  # one for every target

    @torch.jit.unused
    def add(
        self,
        name: str,
        blocks: List[TargetBlock],
        exchange: Optional[ExchangeSymmetry],
        are_shared: bool,
    ) -> None:
        """Register a target, with the tensors that it needs.

        :param name: name of the target.
        :param blocks: irreps and shape of each block.
        :param exchange: symmetry under exchange of atoms or indices, if any.
        :param are_shared: whether all types of centers have the same coefficients.
        :raises ValueError: if there are no tensors of its symmetry.
        """
        try:
            head = TargetHead(
                blocks,
                self.bases,
                self.num_features,
                self.num_invariants if are_shared else self.num_functions,
                self.num_types,
                are_shared,
                exchange,
            )
        except ValueError as error:
            raise ValueError(f"target '{name}': {error}") from error
        self.heads[name] = head

    @torch.jit.unused
    def keep(self, names: Set[str]) -> None:
        """Remove other targets, and the tensors that only they need."""
        for name in set(self.heads) - names:
            del self.heads[name]
        self.bases.keep(set(self.symmetries(list(self.heads))))

    @torch.jit.unused
    def add_types(self, num_types: int, known: torch.Tensor) -> None:
        """Add center types; ``known`` has the positions of the known ones among all."""
        self.num_types = num_types
        head: Any
        for head in self.heads.values():
            head.add_types(num_types, known)

    @torch.jit.unused
    def only_used_by(self, names: Set[str]) -> List[torch.nn.Module]:
        """The heads of some targets, and the tensors that no other target uses."""
        others = set(self.heads) - names
        return [head for name, head in self.heads.items() if name in names] + (
            self.bases.only_used_by(
                set(self.symmetries(list(names))), set(self.symmetries(list(others)))
            )
        )

    @torch.jit.export
    def symmetries(self, names: List[str]) -> List[str]:
        """The symmetries that some targets need, by name."""
        symmetries: List[str] = []
        for name, head in self.heads.items():
            if name in names:
                symmetries.extend(head.basis_names)  # type: ignore[arg-type]
        return symmetries

    @torch.jit.export
    def have_charges(self, names: List[str]) -> bool:
        """Whether any of these targets has charges, which need the positions."""
        for name, head in self.heads.items():
            if name in names and head.has_charges:
                return True
        return False

    @torch.jit.export
    def reads_functions(self, names: List[str]) -> bool:
        """Whether any of these targets is linear in the functions of scalars."""
        for name, head in self.heads.items():
            if name in names and not head.are_shared:
                return True
        return False

    @torch.jit.export
    def reads_density(self, names: List[str]) -> bool:
        """Whether any of these targets needs the density, as all but scalars do."""
        return self.bases.read_density(self.symmetries(names))

    @torch.jit.export
    def last_layer_features(
        self, features: torch.Tensor, names: List[str]
    ) -> Dict[str, torch.Tensor]:
        """The inputs of the last linear layer of some targets.

        :param features: ``(centers, num_features)``
        :param names: names of the targets.
        :return: for each target, ``(centers, num_features)``
        """
        last_layers: Dict[str, torch.Tensor] = {}
        for name, head in self.heads.items():
            if name in names:
                last_layers[name] = head.last_layer_features(features)  # type: ignore[operator]
        return last_layers

    def forward(
        self,
        centers: Centers,
        density: List[torch.Tensor],
        names: List[str],
        opposite: Optional[torch.Tensor] = None,
        ensembles: Optional[List[str]] = None,
    ) -> List[Dict[str, List[torch.Tensor]]]:
        """Predict targets: coefficients times tensors.

        :param centers: scalars of the centers.
        :param density: for every ``l``, ``(centers, 2l + 1, num_channels)``
        :param names: the targets to predict; other names are ignored.
        :param opposite: index of each pair with its atoms exchanged, ``(centers,)``;
            ``None`` for atoms.
        :param ensembles: targets of which to evaluate the members of the ensemble, too;
            by default none.
        :return: blocks of every target, ``(centers, *components, properties)``; then
            the same for the differences of every member from them.
        """
        bases = self.bases(density, self.symmetries(names))  # (centers, 2λ + 1, b) each
        draws = [torch.jit.annotate(Dict[str, List[torch.Tensor]], {})]
        for name, head in self.heads.items():
            if name in names:
                with_members = ensembles is not None and name in ensembles
                of_target = head(centers, bases, opposite, with_members)
                while len(draws) < len(of_target):
                    draws.append(torch.jit.annotate(Dict[str, List[torch.Tensor]], {}))
                for draw, values in zip(draws, of_target):
                    draw[name] = values
        return draws


__all__ = [
    "AtomPairs",
    "Centers",
    "ExchangeSymmetry",
    "Readout",
    "TargetBlock",
    "center_of",
    "exchange_symmetry",
    "target_blocks",
]
