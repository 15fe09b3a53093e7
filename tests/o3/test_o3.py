"""The mathematics of tensors."""

import itertools

import numpy as np
import pytest
import scipy.special
import sphericart
import torch
from metatomic.torch.o3 import random_transformations

from metatrain_scalar_tensor.o3 import (
    CoupledProduct,
    Irrep,
    SphereGrid,
    SphericalHarmonics,
    cartesian_irreps,
    clebsch_gordan,
    isotropic_tensors,
)
from metatrain_scalar_tensor.o3.cartesian import index_permutations


TRIPLES = [
    (l1, l2, l3)
    for l1, l2 in itertools.product(range(5), repeat=2)
    for l3 in range(abs(l1 - l2), l1 + l2 + 1)
]


@pytest.fixture(scope="module")
def rotation():
    torch.manual_seed(0)
    transformation = random_transformations(
        1, 8, device=torch.device("cpu"), dtype=torch.float64
    )
    return transformation


@pytest.mark.parametrize("l1, l2, l3", TRIPLES)
def test_clebsch_gordan_is_equivariant_and_orthonormal(l1, l2, l3, rotation):
    c = clebsch_gordan(l1, l2, l3)
    d1, d2, d3 = (rotation.wigner_D_matrices(l)[0] for l in (l1, l2, l3))
    rotate_then_couple = torch.einsum("abc,ax,by->xyc", c, d1, d2)
    couple_then_rotate = torch.einsum("xyz,cz->xyc", c, d3)
    torch.testing.assert_close(
        rotate_then_couple, couple_then_rotate, atol=1e-12, rtol=0
    )
    identity = torch.einsum("abc,abd->cd", c, c)
    torch.testing.assert_close(
        identity, torch.eye(2 * l3 + 1, dtype=torch.float64), atol=1e-12, rtol=0
    )


def test_clebsch_gordan_refuses_impossible_products():
    with pytest.raises(ValueError, match="it must lie between 1 and 3"):
        clebsch_gordan(1, 2, 4)


@pytest.mark.parametrize("l1, l2", [(1, 1), (1, 4), (3, 3)])
def test_unit_products_of_parallel_vectors_have_unit_norm(l1, l2):
    along_z = [torch.zeros(1, 2 * l + 1, 1, dtype=torch.float64) for l in (l1, l2)]
    along_z[0][:, l1] = 1.0
    along_z[1][:, l2] = 1.0
    product = CoupledProduct(l1, l2, l1 + l2, unit=True)(*along_z)
    assert product.norm().item() == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("rank", [1, 2, 3, 4])
def test_cartesian_decomposition_is_orthogonal_and_equivariant(rank, rotation):
    irreps, to_cartesian = cartesian_irreps(rank)
    matrix = to_cartesian.flatten(1)
    torch.testing.assert_close(
        matrix @ matrix.T, torch.eye(3**rank, dtype=torch.float64), atol=1e-12, rtol=0
    )

    torch.manual_seed(1)
    spherical = torch.randn(3**rank, dtype=torch.float64)
    rotated = torch.cat(
        [
            rotation.wigner_D_matrices(irrep.o3_lambda)[0] @ part
            for irrep, part in zip(
                irreps, spherical.split([2 * i.o3_lambda + 1 for i in irreps])
            )
        ]
    )
    tensor = torch.einsum("m,m...->...", spherical, to_cartesian)
    for _ in range(rank):
        tensor = torch.tensordot(tensor, rotation.matrices[0], dims=([0], [1]))
    torch.testing.assert_close(
        torch.einsum("m,m...->...", rotated, to_cartesian),
        tensor,
        atol=1e-12,
        rtol=0,
    )


def test_rank_2_is_trace_antisymmetric_and_traceless_symmetric():
    irreps, to_cartesian = cartesian_irreps(2)
    assert irreps == [Irrep(0, 1), Irrep(1, -1), Irrep(2, 1)]
    trace, antisymmetric, symmetric = to_cartesian.split([1, 3, 5])
    torch.testing.assert_close(
        trace[0].abs(), torch.eye(3, dtype=torch.float64) / 3**0.5
    )
    torch.testing.assert_close(antisymmetric, -antisymmetric.transpose(1, 2))
    torch.testing.assert_close(symmetric, symmetric.transpose(1, 2))
    assert symmetric.diagonal(dim1=1, dim2=2).sum(1).abs().max() < 1e-12


@pytest.mark.parametrize("rank", [2, 4, 6])
def test_isotropic_tensors_span_the_cartesian_invariants(rank):
    tensors = isotropic_tensors(rank).flatten(1)
    irreps, to_cartesian = cartesian_irreps(rank)
    parts = to_cartesian.flatten(1) @ tensors.T  # (Σ (2λ + 1), tensors)
    num_invariants = irreps.count(Irrep(0, 1))
    assert torch.linalg.matrix_rank(parts[:num_invariants]) == num_invariants
    assert parts[num_invariants:].abs().max() < 1e-12


def test_spherical_harmonics_are_the_usual_ones():
    """Against scipy's complex harmonics, up to l = 12."""
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(50, 3))
    vectors[0] = [0.0, 0.0, 3.0]
    vectors[1] = [0.0, 0.0, -2.0]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    harmonics = SphericalHarmonics(12)(torch.tensor(vectors))
    polar, azimuth = np.arccos(vectors[:, 2]), np.arctan2(vectors[:, 1], vectors[:, 0])
    for l in range(13):
        for m in range(-l, l + 1):
            # without the Condon–Shortley phase (-1)^m, which scipy has
            y = (-1) ** m * scipy.special.sph_harm_y(l, abs(m), polar, azimuth)
            expected = y.real if m == 0 else 2**0.5 * (y.real if m > 0 else y.imag)
            np.testing.assert_allclose(
                harmonics[:, l * l + l + m], expected, atol=1e-12, rtol=0
            )


def test_spherical_harmonics_are_those_of_sphericart():
    points = np.random.default_rng(0).normal(size=(50, 3))
    reference = sphericart.SphericalHarmonics(10).compute(points)
    directions = points / np.linalg.norm(points, axis=1, keepdims=True)
    values = SphericalHarmonics(10)(torch.tensor(directions))
    np.testing.assert_allclose(values.numpy(), reference, atol=1e-12)


def test_spherical_harmonics_in_float32():
    vectors = torch.nn.functional.normalize(torch.randn(50, 3, dtype=torch.float64))
    module = SphericalHarmonics(10)
    expected = module(vectors)
    values = torch.jit.script(module.float())(vectors.float())
    assert (values - expected).abs().max() < 1e-5


def test_spherical_harmonics_have_two_derivatives():
    torch.manual_seed(0)
    module = SphericalHarmonics(4)
    vectors = torch.randn(3, 3, dtype=torch.float64, requires_grad=True)

    def harmonics(vectors):
        return module(torch.nn.functional.normalize(vectors, dim=1))

    assert torch.autograd.gradcheck(harmonics, vectors)
    assert torch.autograd.gradgradcheck(harmonics, vectors)


def one_rank(l, max_angular, seed):
    """Coefficients of a function with a single angular channel, and these alone."""
    x = torch.randn(2 * l + 1, generator=torch.Generator().manual_seed(seed)).double()
    function = torch.zeros((max_angular + 1) ** 2).double()
    function[l**2 : (l + 1) ** 2] = x
    return function.reshape(1, -1, 1), x


@pytest.mark.parametrize("l1, l2", [(1, 1), (1, 2), (2, 3), (3, 3)])
def test_products_and_brackets_on_the_sphere_are_coupled_products(l1, l2):
    """Of even ``l1 + l2 + λ`` the products, of odd the brackets; the others vanish."""
    max_angular = 6
    sphere = SphereGrid(max_angular, 3 * max_angular).double()
    (f, x), (g, y) = one_rank(l1, max_angular, 0), one_rank(l2, max_angular, 1)
    product = sphere.project(sphere(f) * sphere(g), max_angular)
    bracket = sphere.project(sphere.bracket(f, g), max_angular)
    for o3_lambda in range(max_angular + 1):
        rows = slice(o3_lambda**2, (o3_lambda + 1) ** 2)
        even, odd = product[0, rows, 0], bracket[0, rows, 0]
        if (l1 + l2 + o3_lambda) % 2 == 1:
            even, odd = odd, even
        torch.testing.assert_close(odd, torch.zeros_like(odd), atol=1e-12, rtol=0)
        if abs(l1 - l2) <= o3_lambda <= l1 + l2:
            c = clebsch_gordan(l1, l2, o3_lambda)
            coupled = torch.einsum("m,n,mno->o", x, y, c)
            factor = (even @ coupled) / (coupled @ coupled)
            assert abs(factor) > 1e-2
            torch.testing.assert_close(even, factor * coupled, atol=1e-12, rtol=1e-10)
        else:
            torch.testing.assert_close(even, torch.zeros_like(even), atol=1e-12, rtol=0)


def test_coefficients_of_a_function_come_back_from_its_values():
    sphere = SphereGrid(5, 10).double()
    x = torch.randn(3, 36, 2).double()
    torch.testing.assert_close(sphere.project(sphere(x), 5), x, atol=1e-12, rtol=0)
    x[:, :4] = 0.0  # these may be left out
    torch.testing.assert_close(sphere(x[:, 4:]), sphere(x), atol=1e-12, rtol=0)
    with pytest.raises(ValueError, match="limited to 77 .* lower 'max_angular'"):
        SphereGrid(40, 120)


@pytest.mark.parametrize(
    "symmetry, irreps",
    [
        ("ij=ji", [(0, 1), (2, 1)]),
        ("ijk=jik=ikj", [(1, 1), (3, 1)]),  # hyperpolarizability
        ("ijk=ikj", [(1, 1), (1, 1), (2, -1), (3, 1)]),  # piezoelectric: 18 constants
        ("ijkl=jikl=klij", 2 * [(0, 1)] + 2 * [(2, 1)] + [(4, 1)]),  # elastic: 21
        ("abc=bca", [(0, -1), (1, 1), (3, 1)]),
    ],
)
def test_irreps_of_symmetric_cartesian_tensors(symmetry, irreps):
    names, *others = symmetry.split("=")
    rank = len(names)
    found, basis = cartesian_irreps(rank, symmetry)
    assert [tuple(irrep) for irrep in found] == irreps
    # orthonormal, symmetric, and all there is: the average over exchanges leaves it
    rows = basis.flatten(1)
    torch.testing.assert_close(rows @ rows.T, torch.eye(len(rows)).double())
    for other in others:
        axes = [1 + names.index(index) for index in other]
        exchanged = basis.permute(0, *axes)
        torch.testing.assert_close(exchanged, basis, atol=1e-14, rtol=0)
    tensor = torch.randn([3] * rank).double()
    group = index_permutations(symmetry, rank)
    average = sum(tensor.permute(*axes) for axes in group) / len(group)
    spanned = rows.T @ (rows @ average.flatten())
    torch.testing.assert_close(spanned, average.flatten(), atol=1e-13, rtol=0)


@pytest.mark.parametrize(
    "symmetry, irreps",
    [
        ("ij=ji traceless", [(2, 1)]),  # quadrupole
        ("ij traceless", [(1, -1), (2, 1)]),
        ("ijk=jik=ikj traceless", [(3, 1)]),  # octupole
    ],
)
def test_irreps_of_traceless_tensors(symmetry, irreps):
    rank = len(symmetry.split()[0].split("=")[0])
    found, basis = cartesian_irreps(rank, symmetry)
    assert [tuple(irrep) for irrep in found] == irreps
    traces = basis.diagonal(dim1=1, dim2=2).sum(-1)
    torch.testing.assert_close(traces, torch.zeros_like(traces), atol=1e-14, rtol=0)
    with pytest.raises(ValueError, match="a vector has no trace"):
        cartesian_irreps(1, "i traceless")


def test_grids_of_inference_serve_training():
    """The constants of all grids of one size are the same tensors."""
    with torch.inference_mode():
        SphereGrid(1, 2)
    coefficients = torch.ones(1, 4, 1, dtype=torch.float64, requires_grad=True)
    values = SphereGrid(1, 2)(coefficients)
    values.square().sum().backward()
    assert coefficients.grad.isfinite().all()
