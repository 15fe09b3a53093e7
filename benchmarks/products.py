"""Time of products of tensors, irreducible Cartesian ones beside spherical ones.

``IrreducibleProduct`` and ``CoupledProduct`` of two tensors of equal rank for 5000
atoms with 32 channels, float32, forward and backward, each in its own layout, in turn;
and the products of messages, ``SphericalGaunt`` and ``CartesianGaunt``, for outer
products of 500 atoms with 16 channels.

::

    OMP_NUM_THREADS=1 python benchmarks/products.py         # prints two tables
"""

import argparse
from typing import List

import torch
from water import Step, measure

from metatrain_scalar_tensor.o3 import (
    CartesianGaunt,
    CoupledProduct,
    IrreducibleProduct,
    SphericalGaunt,
)


ATOMS, CHANNELS, LARGEST = 5000, 32, 4  # the largest rank of a product


def gradient(product: torch.nn.Module, shape: List[int]) -> Step:
    """The product of random tensors, and the derivatives for both."""
    x, y = (torch.randn(shape, requires_grad=True) for _ in range(2))
    script = torch.jit.script(product.float())
    weights = torch.randn(script(x, y).shape)
    return lambda: torch.autograd.grad(script(x, y), (x, y), weights)


def gaunt_gradient(gaunt: SphericalGaunt | CartesianGaunt, max_rank: int) -> Step:
    """All couplings of random outer products, and their derivatives."""
    outer = torch.randn([500, 16] + 2 * [(max_rank + 1) ** 2], requires_grad=True)
    script = torch.jit.script(gaunt.float())
    weights = torch.randn(script(outer).shape)
    return lambda: torch.autograd.grad(script(outer), outer, weights)


def main() -> None:
    """Measure everything and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    torch.manual_seed(0)
    print("| ranks | spherical, ms | Cartesian, ms | Cartesian / spherical |")
    print("|---|---|---|---|")
    for l in (1, 2, 3):
        for l3 in range(min(2 * l, LARGEST) + 1):
            spherical, cartesian = measure(
                {
                    "spherical": gradient(
                        CoupledProduct(l, l, l3), [ATOMS, 2 * l + 1, CHANNELS]
                    ),
                    "Cartesian": gradient(
                        IrreducibleProduct(l, l, l3), [ATOMS, CHANNELS] + l * [3]
                    ),
                },
                rounds,
            ).values()
            print(
                f"| {l} ⊗ {l} → {l3} | {spherical:.1f} | {cartesian:.1f} "
                f"| {cartesian / spherical:.2f} |",
                flush=True,
            )
    print("\n| max_rank | spherical, ms | Cartesian, ms | Cartesian / spherical |")
    print("|---|---|---|---|")
    for max_rank in (1, 2, 3):
        ranks = 3 * [max_rank]
        spherical, cartesian = measure(
            {
                "spherical": gaunt_gradient(SphericalGaunt(*ranks), max_rank),
                "Cartesian": gaunt_gradient(CartesianGaunt(*ranks), max_rank),
            },
            rounds,
        ).values()
        print(
            f"| {max_rank} | {spherical:.1f} | {cartesian:.1f} "
            f"| {cartesian / spherical:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
