"""O(3) mathematics on plain tensors: no learning, no metatensor.

Conventions, the same everywhere in the package:

- real spherical tensors of rank ``l`` have components in the order
  ``m = -l, ..., l``; for ``l = 1`` these are ``(y, z, x)``;
- the phases are those of the real spherical harmonics of featomic, sphericart and
  metatomic;
- inversion multiplies a tensor ``(λ, σ)`` by ``σ (-1)^λ``: proper tensors have
  ``σ = +1``, pseudotensors ``σ = -1``.
"""

from .cartesian import cartesian_irreps, isotropic_tensors
from .clebsch_gordan import CoupledProduct, clebsch_gordan
from .components import on_components
from .gaunt import CartesianGaunt, SphericalGaunt
from .irreducible import (
    IrreduciblePower,
    IrreducibleProduct,
    cartesian_norm,
    contraction,
    coupling_constant,
    spherical_from_irreducible,
)
from .irreps import Irrep, product_irreps
from .projector import irreducible_projector
from .sphere import SphereGrid
from .spherical_harmonics import SphericalHarmonics


__all__ = [
    "CartesianGaunt",
    "CoupledProduct",
    "IrreduciblePower",
    "IrreducibleProduct",
    "Irrep",
    "SphereGrid",
    "SphericalGaunt",
    "SphericalHarmonics",
    "cartesian_irreps",
    "cartesian_norm",
    "clebsch_gordan",
    "contraction",
    "coupling_constant",
    "irreducible_projector",
    "isotropic_tensors",
    "on_components",
    "product_irreps",
    "spherical_from_irreducible",
]
