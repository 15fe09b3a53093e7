"""The neighbor density."""

from typing import Callable, List, NamedTuple, Sequence

import torch
from metatomic.torch import NeighborListOptions

from ..documentation import DensityEngine, ExpansionHypers, SpeciesHypers
from ..normalisation import root_mean_squares
from ..structures import Edges, Structures
from .fused import FusedExpansion
from .neighbor_sum import NeighborSum
from .species import OrthogonalSpecies, TensorReducedSpecies, choose_species


class Surroundings(NamedTuple):
    """The neighbor density of all atoms, and the edges."""

    density: List[torch.Tensor]  # for every l, (atoms, 2l + 1, channels)
    edges: Edges


class Density(torch.nn.Module):
    r"""The neighbor density, expanded in radial functions and spherical harmonics.

    .. math::
        x_{i, qn, lm} = s_l \sum_{j: q_j = q} R_{nl}(r_{ij}) \, f_c(r_{ij}) \,
            Y_{lm}(\hat r_{ij})

    as defined by featomic's ``SphericalExpansion``, times a constant :math:`s_l` for
    each angular channel, set by :meth:`calibrate`. The channels ``qn`` may be mixed.

    :param hypers: arguments of featomic's ``SphericalExpansion``.
    :param atomic_types: types that neighbors can have.
    :param engine: the implementation, ``torch`` or ``featomic``.
    :param species: how neighbor types enter the channels, other than ``auto``.
    :raises ValueError: if the cutoff function is wider than the cutoff, or not
        available in the engine.
    """

    scale: torch.Tensor  # (max_angular + 1,)
    is_calibrated: torch.Tensor

    def __init__(
        self,
        hypers: ExpansionHypers,
        atomic_types: List[int],
        engine: DensityEngine,
        species: SpeciesHypers,
    ) -> None:
        super().__init__()
        cutoff = hypers["cutoff"]
        if cutoff["smoothing"]["width"] > cutoff["radius"]:
            raise ValueError(
                f"the density can't go to zero over {cutoff['smoothing']['width']} "
                f"within a cutoff of {cutoff['radius']}: set 'width' of "
                "'model.expansion.cutoff.smoothing' to the radius or less"
            )
        self.hypers = hypers
        self.max_angular = hypers["basis"]["max_angular"]
        num_types = len(atomic_types)
        num_radial = hypers["basis"]["radial"]["max_radial"] + 1
        self.species: torch.nn.Module
        if species["type"] == "orthogonal":
            self.species = OrthogonalSpecies(num_types, num_radial)
        else:
            self.species = TensorReducedSpecies(
                num_types, num_radial, self.max_angular, species["num_channels"]
            )
        self.num_channels = self.species.num_channels
        self.expansion = self._expansion(atomic_types, engine)
        self.register_buffer("scale", torch.ones(self.max_angular + 1).double())
        self.register_buffer("is_calibrated", torch.tensor(False))

    def _expansion(
        self, atomic_types: List[int], engine: DensityEngine
    ) -> torch.nn.Module:
        if engine == "featomic":
            if self.hypers["cutoff"]["smoothing"]["type"] != "ShiftedCosine":
                raise ValueError(
                    "featomic's only cutoff function is 'ShiftedCosine': set "
                    "'type' of 'model.expansion.cutoff.smoothing' to it, or "
                    "'model.engine' to 'torch'"
                )
            if self.hypers["basis"]["radial"]["type"] == "Bessel":
                raise ValueError(
                    "featomic has no learned radial functions: set 'type' of "
                    "'model.expansion.basis.radial' to Gto, or 'model.engine' to "
                    "'torch'"
                )
            # imported here, since exported models must not need featomic's library
            from .featomic import FeatomicExpansion

            return FeatomicExpansion(self.hypers, atomic_types)
        return FusedExpansion(self.hypers)

    def add_types(self, atomic_types: List[int], known: torch.Tensor) -> None:
        """Add neighbor types, with tensor-reduced channels.

        :param atomic_types: all types, in ascending order.
        :param known: positions of the known types among them.
        """
        self.species.add_types(len(atomic_types), known)  # type: ignore[operator]
        if not isinstance(self.expansion, FusedExpansion):
            self.expansion = self._expansion(atomic_types, "featomic")

    @torch.jit.export
    def requested_neighbor_lists(self) -> List[NeighborListOptions]:
        """The neighbor lists that the engine reads in addition to that of the edges."""
        return self.expansion.requested_neighbor_lists()  # type: ignore[operator]

    def forward(self, structures: Structures, edges: Edges) -> List[torch.Tensor]:
        """Expand the density around every atom.

        :param structures: structures, whose atoms are stacked in order.
        :param edges: the edges of the structures.
        :return: for every ``l``, ``(atoms, 2l + 1, num_channels)``; without mixing, the
            channels are (neighbor type, radial function).
        """
        density = self.expansion(structures, edges, self.scale)
        return self.species(density, edges.types)

    @torch.no_grad()
    def calibrate(
        self,
        batches: Sequence[Structures],
        expand: Callable[[Structures], List[torch.Tensor]],
    ) -> None:
        """Choose the constants that give every channel ``l`` unit mean square.

        Radial integrals and the l = 0 self-term make the channels differ by an order of
        magnitude, but networks and tensor products need similar sizes. A channel that
        symmetry makes zero stays small, see :func:`with_floor`. The constants depend on
        the structures only and do not change afterwards.

        :param batches: typical structures, in batches.
        :param expand: computes this density for structures.
        """
        self.scale.fill_(1.0)
        self.scale.copy_(1.0 / root_mean_squares(batches, expand))
        self.is_calibrated.fill_(True)

    def without_extensions(self) -> None:
        """Switch to the engine that needs no compiled library."""
        if not isinstance(self.expansion, FusedExpansion):
            device, dtype = self.scale.device, self.scale.dtype
            self.expansion = FusedExpansion(self.hypers)
            self.expansion.to(device, dtype)


__all__ = ["Density", "NeighborSum", "Surroundings", "choose_species"]
