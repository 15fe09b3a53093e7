"""Irreducible Cartesian tensors and their products."""

import itertools
import math

import pytest
import torch

from metatrain_scalar_tensor.o3 import (
    CoupledProduct,
    IrreduciblePower,
    IrreducibleProduct,
    SphericalHarmonics,
    cartesian_norm,
    contraction,
    coupling_constant,
    irreducible_projector,
    spherical_from_irreducible,
)


RANKS = range(5)
TRIPLES = [
    (l1, l2, l3)
    for l1, l2, l3 in itertools.product(RANKS, repeat=3)
    if abs(l1 - l2) <= l3 <= l1 + l2
]
EXAMPLES = [(1, 0, 1), (1, 1, 0), (1, 1, 1), (1, 1, 2), (2, 2, 2), (2, 3, 2), (3, 2, 4)]
UNIT = torch.eye(3, dtype=torch.float64)
LEVI_CIVITA = torch.linalg.cross(UNIT.unsqueeze(1), UNIT.unsqueeze(0))  # ε_jki


def close(actual, expected, atol=1e-12):
    torch.testing.assert_close(actual, expected, atol=atol, rtol=0)


def random_tensors(rank, atoms=4, channels=2):
    """Irreducible tensors, (atoms, channels, 3, ..., 3)."""
    tensors = torch.randn(atoms, channels, 3**rank, dtype=torch.float64)
    tensors = tensors @ irreducible_projector(rank)
    return tensors.reshape([atoms, channels] + [3] * rank)


def transform(tensors, matrix):
    """Apply a matrix to all Cartesian indices."""
    for _ in range(tensors.dim() - 2):
        tensors = torch.tensordot(tensors, matrix, dims=([2], [1]))
    return tensors


def random_rotation():
    matrix, _ = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))
    return matrix * torch.linalg.det(matrix)


def symmetrised(tensors):
    rank = tensors.dim() - 2
    permutations = list(itertools.permutations(range(2, 2 + rank)))
    return sum(tensors.permute(0, 1, *p) for p in permutations) / len(permutations)


def assert_irreducible(tensors):
    for i, j in itertools.combinations(range(2, tensors.dim()), 2):
        close(tensors.transpose(i, j), tensors)
        traces = tensors.diagonal(dim1=i, dim2=j).sum(-1)
        close(traces, torch.zeros_like(traces))


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("rank", range(7))
def test_the_projector_is_one(rank):
    projector = irreducible_projector(rank)
    close(projector @ projector, projector, atol=1e-14)
    close(projector.T, projector, atol=1e-14)
    assert projector.trace().item() == pytest.approx(2 * rank + 1, abs=1e-12)


@pytest.mark.parametrize("rank", RANKS)
def test_powers_of_vectors_are_irreducible(rank):
    vectors = torch.randn(5, 3, dtype=torch.float64)
    tensors = IrreduciblePower(rank)(vectors)
    assert tensors.shape == (5,) + (3,) * rank
    assert_irreducible(tensors.unsqueeze(1))


def test_powers_of_vectors_by_hand():
    r = torch.randn(5, 3, dtype=torch.float64)
    square = (r * r).sum(1)
    second = torch.einsum("si,sj->sij", r, r)
    second = second - torch.einsum("s,ij->sij", square, UNIT) / 3
    close(IrreduciblePower(2)(r), second)
    third = torch.einsum("si,sj,sk->sijk", r, r, r)
    for placement in ("s,si,jk->sijk", "s,sj,ik->sijk", "s,sk,ij->sijk"):
        third = third - torch.einsum(placement, square, r, UNIT) / 5
    close(IrreduciblePower(3)(r), third)


@pytest.mark.parametrize("rank", RANKS)
def test_powers_contract_to_legendre_polynomials(rank):
    r, s = torch.randn(2, 5, 1, 3, dtype=torch.float64)
    power = IrreduciblePower(rank)
    scalar = contraction(power(r[:, 0]).unsqueeze(1), power(s[:, 0]).unsqueeze(1), rank)
    lengths = cartesian_norm(r) * cartesian_norm(s)
    legendre = torch.special.legendre_polynomial_p(contraction(r, s, 1) / lengths, rank)
    factor = math.factorial(rank) / math.prod(range(2 * rank - 1, 0, -2))
    close(scalar, factor * lengths**rank * legendre)


@pytest.mark.parametrize("rank", range(7))
def test_the_change_of_basis_is_orthogonal_and_exact(rank):
    matrix = spherical_from_irreducible(rank)
    identity = torch.eye(2 * rank + 1, dtype=torch.float64)
    close(matrix @ matrix.T, identity, atol=1e-14)  # from spherical and back
    close(matrix.T @ matrix, irreducible_projector(rank), atol=1e-14)


@pytest.mark.parametrize("rank", RANKS)
def test_powers_of_unit_vectors_are_spherical_harmonics(rank):
    vectors = torch.randn(5, 3, dtype=torch.float64)
    vectors = vectors / vectors.norm(dim=1, keepdim=True)
    tensors = IrreduciblePower(rank)(vectors).reshape(5, -1)
    square = math.factorial(rank) / math.prod(range(2 * rank - 1, 0, -2))
    square *= 4 * math.pi / (2 * rank + 1)
    harmonics = SphericalHarmonics(rank)(vectors)[:, rank**2 :]
    close(tensors @ spherical_from_irreducible(rank).T, math.sqrt(square) * harmonics)


@pytest.mark.parametrize("l1, l2, l3", TRIPLES)
def test_products_are_irreducible(l1, l2, l3):
    product = IrreducibleProduct(l1, l2, l3)(random_tensors(l1), random_tensors(l2))
    assert product.shape == (4, 2) + (3,) * l3
    assert_irreducible(product)


@pytest.mark.parametrize("l1, l2, l3", TRIPLES)
@pytest.mark.parametrize("determinant", [1, -1])
def test_products_are_equivariant(l1, l2, l3, determinant):
    """Under all of O(3): odd products are pseudotensors."""
    matrix = determinant * random_rotation()
    x, y = random_tensors(l1), random_tensors(l2)
    product = IrreducibleProduct(l1, l2, l3)
    parity = determinant ** (l1 + l2 + l3)
    transformed = product(transform(x, matrix), transform(y, matrix))
    close(transformed, parity * transform(product(x, y), matrix))


@pytest.mark.parametrize("l1, l2, l3", TRIPLES)
def test_products_are_coupled_products_up_to_the_constant(l1, l2, l3):
    def spherical(tensors):
        matrix = spherical_from_irreducible(tensors.dim() - 2)
        return (tensors.reshape(4, 2, -1) @ matrix.T).transpose(1, 2)

    x, y = random_tensors(l1), random_tensors(l2)
    coupled = CoupledProduct(l1, l2, l3)(spherical(x), spherical(y))
    product = spherical(IrreducibleProduct(l1, l2, l3)(x, y))
    close(product, coupling_constant(l1, l2, l3) * coupled)


@pytest.mark.parametrize("l1, l2, l3", TRIPLES)
def test_products_are_the_closed_form(l1, l2, l3):
    """The terms of the sum over traces one after the other."""
    x, y = random_tensors(l1), random_tensors(l2)
    contracted, odd = divmod(l1 + l2 - l3, 2)
    p, q = l1 - contracted - odd, l2 - contracted - odd  # free indices of x and y
    expected = torch.zeros((4, 2) + (3,) * l3, dtype=torch.float64)
    for m in range(min(p, q) + 1):
        term = contraction(x, y, contracted + m)
        if odd == 1:  # one more index of each goes into ε
            j, k = 2 + p - m, 3 + p - m
            term = torch.tensordot(term, LEVI_CIVITA, dims=([j, k], [0, 1]))
        for _ in range(m):
            term = torch.tensordot(term, UNIT, dims=0)
        placements = math.factorial(l3) / (
            math.factorial(p - m) * math.factorial(q - m) * math.factorial(m) * 2**m
        )
        factor = math.factorial(p) * math.factorial(q) / math.factorial(l3) * (-2) ** m
        for n in range(m):  # (2 l3 - 2 m - 1)!! / (2 l3 - 1)!!
            factor /= 2 * l3 - 2 * n - 1
        expected += factor * placements * symmetrised(term)
    close(IrreducibleProduct(l1, l2, l3)(x, y), expected)


def test_products_of_vectors_are_the_usual_ones():
    x, y = random_tensors(1), random_tensors(1)
    close(IrreducibleProduct(1, 1, 0)(x, y), (x * y).sum(2))
    close(IrreducibleProduct(1, 1, 1)(x, y), torch.linalg.cross(x, y, dim=2))


def test_impossible_products_and_contractions_are_refused():
    with pytest.raises(ValueError, match="it must lie between 1 and 3"):
        IrreducibleProduct(1, 2, 4)
    with pytest.raises(ValueError, match="it must lie between 1 and 3"):
        coupling_constant(1, 2, 0)
    with pytest.raises(ValueError, match="cannot contract 2 indices of tensors of"):
        contraction(random_tensors(3), random_tensors(1), 2)


@pytest.mark.parametrize("indices", range(4))
def test_contractions_are_sums_over_indices(indices):
    x, y = random_tensors(3), random_tensors(4)
    expected = torch.stack(
        [
            torch.tensordot(a, b, dims=indices)
            for a, b in zip(x.flatten(0, 1), y.flatten(0, 1))
        ]
    )
    close(contraction(x, y, indices).flatten(0, 1), expected)


@pytest.mark.parametrize("rank", RANKS)
def test_norms_do_not_change_under_rotations_and_the_change_of_basis(rank):
    x = random_tensors(rank)
    norms = cartesian_norm(x)
    close(norms**2, contraction(x, x, rank))
    close(norms, cartesian_norm(transform(x, -random_rotation())))
    spherical = x.reshape(4, 2, -1) @ spherical_from_irreducible(rank).T
    close(norms, spherical.norm(dim=2))


def test_norms_of_zero_have_a_derivative():
    x = torch.zeros(1, 1, 3, 3, requires_grad=True)
    [derivative] = torch.autograd.grad(cartesian_norm(x).sum(), x)
    assert (derivative == 0).all()


@pytest.mark.parametrize("l1, l2, l3", EXAMPLES)
def test_products_have_two_derivatives(l1, l2, l3):
    product = IrreducibleProduct(l1, l2, l3)
    x = random_tensors(l1, atoms=1, channels=2).requires_grad_(True)
    y = random_tensors(l2, atoms=1, channels=2).requires_grad_(True)
    assert torch.autograd.gradcheck(product, (x, y))
    assert torch.autograd.gradgradcheck(product, (x, y))


@pytest.mark.parametrize("rank", RANKS[1:])
def test_powers_have_two_derivatives(rank):
    power = IrreduciblePower(rank)
    vectors = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(power, vectors)
    assert torch.autograd.gradgradcheck(power, vectors)


@pytest.mark.parametrize("l1, l2, l3", EXAMPLES)
@pytest.mark.parametrize("atoms", [0, 4])
def test_products_in_torchscript(l1, l2, l3, atoms):
    product = IrreducibleProduct(l1, l2, l3)
    x, y = random_tensors(l1, atoms), random_tensors(l2, atoms)
    close(torch.jit.script(product)(x, y), product(x, y), atol=0)
    assert product(x, y).shape == (atoms, 2) + (3,) * l3


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("samples", [0, 4])
def test_powers_and_norms_in_torchscript(rank, samples):
    vectors = torch.randn(samples, 3, dtype=torch.float64)
    power = IrreduciblePower(rank)
    tensors = torch.jit.script(power)(vectors)
    close(tensors, power(vectors), atol=0)
    norms = torch.jit.script(cartesian_norm)(tensors.unsqueeze(1))
    close(norms, cartesian_norm(tensors.unsqueeze(1)), atol=0)


def test_products_in_float32():
    product = IrreducibleProduct(2, 3, 4)
    x, y = random_tensors(2), random_tensors(3)
    expected = product(x, y)
    close(product.float()(x.float(), y.float()).double(), expected, atol=1e-5)
