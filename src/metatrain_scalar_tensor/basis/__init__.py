"""The equivariant tensors ``B_b`` that the coefficients multiply."""

from typing import Any, List

import torch

from ..documentation import TensorBasisHypers
from ..o3 import Irrep
from .density import DensityBasis
from .pairs import AxialBasis, PairBasis, TripleBasis, pair_ranks
from .vectors import VectorBasis


class ScalarBasis(torch.nn.Module):
    """The number one: a scalar is its own coefficient."""

    def __init__(self) -> None:
        super().__init__()
        self.num_tensors = 1

    def forward(
        self, density: List[torch.Tensor], center_type: torch.Tensor
    ) -> torch.Tensor:
        """Return ones, ``(atoms, 1, 1)``."""
        return torch.ones_like(density[0][:, :, :1])


class TensorBasis(torch.nn.Module):
    """All the tensors of one symmetry.

    :param irrep: the symmetry ``(λ, σ)``.
    :param hypers: which kinds of tensors to use.
    :param max_angular: largest angular channel of the density.
    :param num_types: number of center types.
    :param num_inputs: number of channels of the density.
    :raises ValueError: if λ is larger than ``max_angular``, or if all kinds of tensors
        are switched off.
    """

    def __init__(
        self,
        irrep: Irrep,
        hypers: TensorBasisHypers,
        max_angular: int,
        num_types: int,
        num_inputs: int,
    ) -> None:
        super().__init__()
        o3_lambda, o3_sigma = irrep
        is_scalar = irrep == Irrep(0, 1)
        # a pseudoscalar needs at least the triple product of three vectors
        required = 1 if irrep == Irrep(0, -1) else o3_lambda
        if required > max_angular:
            raise ValueError(
                f"o3_lambda={o3_lambda}, o3_sigma={o3_sigma:+d} needs a density with "
                f"angular channels up to {required}, and 'max_angular' is "
                f"{max_angular}: set 'model.expansion.basis.max_angular' to {required} "
                "or more"
            )
        num_channels = hypers["num_channels"]
        couplings = hypers["pairs"]
        if couplings is None and hypers["density"] and o3_sigma == -1:
            couplings = "maximal"  # a single channel gives no pseudotensor
        parts: List[Any] = []
        if is_scalar:
            parts.append(ScalarBasis())
        else:
            if hypers["vectors"]:
                parts.append(VectorBasis(irrep, num_types, num_inputs))
            if hypers["density"] and o3_sigma == 1:
                parts.append(
                    DensityBasis(o3_lambda, num_types, num_inputs, num_channels)
                )
            if couplings is not None and o3_lambda == 0:
                parts.append(
                    TripleBasis(
                        couplings, max_angular, num_types, num_inputs, num_channels
                    )
                )
            elif couplings is not None:
                ranks = pair_ranks(irrep, couplings, max_angular)
                if len(ranks) > 0:
                    parts.append(PairBasis(o3_lambda, ranks, num_inputs, num_channels))
                if couplings == "all" and o3_sigma == -1 and o3_lambda > 1:
                    parts.append(
                        AxialBasis(
                            o3_lambda, max_angular, num_types, num_inputs, num_channels
                        )
                    )
        if len(parts) == 0:
            raise ValueError(
                f"there is no tensor with o3_lambda={o3_lambda}, "
                f"o3_sigma={o3_sigma:+d} left: set at least one of 'vectors' and "
                "'density' of 'model.tensor_basis' to true"
            )
        self.parts = torch.nn.ModuleList(parts)
        self.num_tensors = sum(part.num_tensors for part in parts)

    def forward(
        self, density: List[torch.Tensor], center_type: torch.Tensor
    ) -> torch.Tensor:
        """Build the tensors.

        :param density: for every ``l``, ``(atoms, 2l + 1, num_inputs)``
        :param center_type: index of the type, ``(atoms,)``
        :return: ``(atoms, 2λ + 1, num_tensors)``
        """
        tensors: List[torch.Tensor] = []
        for part in self.parts:
            tensors.append(part(density, center_type))
        return torch.cat(tensors, dim=2)


__all__ = ["TensorBasis"]
