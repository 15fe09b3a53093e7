"""The equivariant tensors ``B_b`` that the coefficients multiply."""

from typing import Any, Dict, List, Optional, Set, cast

import torch

from ..documentation import TensorBasisHypers
from ..o3 import Irrep
from .density import DensityBasis
from .gradients import GradientBasis
from .products import AxialBasis, ProductBasis, Products, SphereProducts, TripleBasis
from .vectors import VectorBasis


class ScalarBasis(torch.nn.Module):
    """The constant 1: a scalar is its own coefficient."""

    max_rank = 0  # largest rank of the products that are needed

    def __init__(self) -> None:
        super().__init__()
        self.num_tensors = 1

    def forward(self, density: List[torch.Tensor], products: Products) -> torch.Tensor:
        """Return ones, ``(atoms, 1, 1)``."""
        return torch.ones_like(density[0][:, :, :1])


def tensor_kinds(
    irrep: Irrep, max_angular: int, num_inputs: int, num_channels: int
) -> List[Any]:
    """The modules that build the tensors of one symmetry, one for each kind.

    Each has ``num_tensors``, the ``max_rank`` of the products that it needs, and
    ``forward(density, products)``, which returns ``(atoms, 2λ + 1, num_tensors)``.

    :param irrep: the symmetry ``(λ, σ)``.
    :param max_angular: largest angular channel of the density.
    :param num_inputs: number of channels of the density.
    :param num_channels: number of learned contractions, and of products.
    """
    o3_lambda, o3_sigma = irrep
    if irrep == Irrep(0, 1):
        return [ScalarBasis()]
    kinds: List[Any] = [VectorBasis(irrep, num_inputs)]
    if o3_sigma == 1:
        kinds.append(DensityBasis(o3_lambda, num_inputs, num_channels))
    if irrep == Irrep(0, -1):
        kinds.append(TripleBasis(max_angular, num_inputs, num_channels))
    else:
        kinds.append(ProductBasis(irrep, num_channels))
    if o3_sigma == -1 and o3_lambda > 1:
        kinds.append(AxialBasis(o3_lambda, num_inputs, num_channels))
    return kinds


class TensorBasis(torch.nn.Module):
    """All tensors of one symmetry.

    :param irrep: the symmetry ``(λ, σ)``.
    :param hypers: how many tensors to use.
    :param max_angular: largest angular channel of the density.
    :param num_inputs: number of channels of the density.
    :raises ValueError: if λ is larger than ``max_angular``.
    """

    def __init__(
        self,
        irrep: Irrep,
        hypers: TensorBasisHypers,
        max_angular: int,
        num_inputs: int,
    ) -> None:
        super().__init__()
        o3_lambda, o3_sigma = irrep
        # a pseudoscalar needs at least the triple product of three vectors
        required = 1 if irrep == Irrep(0, -1) else o3_lambda
        if required > max_angular:
            raise ValueError(
                f"o3_lambda={o3_lambda}, o3_sigma={o3_sigma:+d} needs a density with "
                f"angular channels up to {required}, and 'max_angular' is "
                f"{max_angular}: set 'model.expansion.basis.max_angular' to {required} "
                "or more"
            )
        kinds = tensor_kinds(irrep, max_angular, num_inputs, hypers["num_channels"])
        self.is_scalar = irrep == Irrep(0, 1)
        self.is_pseudotensor = o3_sigma == -1
        self.max_product_rank = max(kind.max_rank for kind in kinds)
        self.kinds = torch.nn.ModuleList(kinds)
        self.num_tensors = sum(kind.num_tensors for kind in kinds)
        self.gradients: Optional[GradientBasis] = None
        if hypers["gradients"] is not None and not self.is_scalar:
            self.gradients = GradientBasis(self.num_tensors, hypers["gradients"])
            self.num_tensors += hypers["gradients"]

    def forward(self, density: List[torch.Tensor], products: Products) -> torch.Tensor:
        """Build the tensors.

        :param density: for every ``l``, ``(atoms, 2l + 1, num_inputs)``
        :param products: products of two of its channels; not used for scalars.
        :return: ``(atoms, 2λ + 1, num_tensors)``
        """
        tensors: List[torch.Tensor] = []
        for kind in self.kinds:
            tensors.append(kind(density, products))
        basis = torch.cat(tensors, dim=2)
        if self.gradients is not None:
            basis = torch.cat([basis, self.gradients(basis)], dim=2)
        return basis


def basis_name(irrep: Irrep) -> str:
    """The name of a symmetry, such as ``lambda_2_sigma_1``."""
    return f"lambda_{irrep.o3_lambda}_sigma_{irrep.o3_sigma}"


class TensorBases(torch.nn.Module):
    """The tensors of all symmetries in use.

    :param hypers: how many tensors to use.
    :param max_angular: largest angular channel of the density.
    :param num_inputs: number of channels of the density.
    """

    def __init__(
        self, hypers: TensorBasisHypers, max_angular: int, num_inputs: int
    ) -> None:
        super().__init__()
        self.hypers = hypers
        self.max_angular = max_angular
        self.num_inputs = num_inputs
        self.products: Optional[SphereProducts] = None
        self.of_symmetry = torch.nn.ModuleDict()

    def add(self, irrep: Irrep) -> None:
        """Add the tensors of a symmetry (λ, σ), unless they are there already.

        :raises ValueError: as :class:`TensorBasis`.
        """
        name = basis_name(irrep)
        if name in self.of_symmetry:
            return
        sizes = (self.max_angular, self.num_inputs)
        basis = TensorBasis(irrep, self.hypers, *sizes)
        self.of_symmetry[name] = basis
        if not basis.is_scalar:
            if self.products is None:
                self.products = SphereProducts(*sizes, self.hypers["num_channels"])
            self.products.reach(basis.max_product_rank)

    @torch.jit.unused
    def keep(self, names: Set[str]) -> None:
        """Remove all symmetries but those with these names."""
        for name in set(self.of_symmetry) - names:
            del self.of_symmetry[name]
        if not self.read_density(list(names)):
            self.products = None

    @torch.jit.unused
    def only_used_by(
        self, names: Set[str], names_of_others: Set[str]
    ) -> List[torch.nn.Module]:
        """The modules that some symmetries need and others do not.

        :param names: names of these symmetries.
        :param names_of_others: names of the others.
        """
        own: List[torch.nn.Module] = [
            basis
            for name, basis in self.of_symmetry.items()
            if name in names - names_of_others
        ]
        if self.products is not None and not self.read_density(list(names_of_others)):
            own.append(self.products)
        return own

    @torch.jit.export
    def read_density(self, names: List[str]) -> bool:
        """Whether any of these symmetries needs the density, as all but scalars do."""
        for name, basis in self.of_symmetry.items():
            if name in names and not basis.is_scalar:
                return True
        return False

    def num_tensors(self, irrep: Irrep) -> int:
        """Number of tensors of a symmetry."""
        return cast(TensorBasis, self.of_symmetry[basis_name(irrep)]).num_tensors

    def forward(
        self, density: List[torch.Tensor], names: List[str]
    ) -> Dict[str, torch.Tensor]:
        """Build the tensors of the symmetries that are needed.

        :param density: for every ``l``, ``(atoms, 2l + 1, num_inputs)``
        :param names: names of the symmetries.
        :return: for each symmetry, ``(atoms, 2λ + 1, tensors)``
        """
        products = Products([], [])
        if self.products is not None and self.read_density(names):
            with_pseudo = False
            for name, basis in self.of_symmetry.items():
                if name in names and basis.is_pseudotensor:
                    with_pseudo = True
            products = self.products(density, with_pseudo)
        bases: Dict[str, torch.Tensor] = {}
        for name, basis in self.of_symmetry.items():
            if name in names:
                bases[name] = basis(density, products)
        return bases


__all__ = ["TensorBases", "TensorBasis", "basis_name"]
