"""The tensors that the coefficients multiply."""

import ase
import pytest
import torch

from helpers import cluster, make_model, prepare, spherical
from metatrain_scalar_tensor.basis import TensorBases, TensorBasis, basis_name
from metatrain_scalar_tensor.basis.density import DensityBasis
from metatrain_scalar_tensor.basis.gradients import GradientBasis
from metatrain_scalar_tensor.basis.products import AxialBasis, ProductBasis, TripleBasis
from metatrain_scalar_tensor.basis.vectors import VectorBasis
from metatrain_scalar_tensor.o3 import Irrep


HYPERS = {"num_channels": 13, "gradients": None}
KINDS = {
    "vectors": (VectorBasis,),
    "density": (DensityBasis,),  # proper tensors only
    "products": (ProductBasis, TripleBasis, AxialBasis),
}
ALL = sum(KINDS.values(), ())


def tensors(irrep, classes, frames):
    """The tensors of some kinds of all atoms, (atoms, 2λ + 1, tensors)."""
    model = make_model({"y": spherical((1, 1))})
    systems = prepare(model, frames)
    torch.manual_seed(1)
    density = model.model.density
    bases = TensorBases(HYPERS, density.max_angular, density.num_channels)
    bases.add(irrep)
    bases.double()
    x = model.model.look(model.read(systems)).density
    products = bases.products(x, with_pseudo=True)
    some = [x[0].new_zeros(len(x[0]), 2 * irrep.o3_lambda + 1, 0)]
    for kind in bases.of_symmetry[basis_name(irrep)].kinds:
        if isinstance(kind, classes):
            some.append(kind(x, products))
    return torch.cat(some, dim=2)


@pytest.mark.parametrize("o3_sigma", [1, -1])
@pytest.mark.parametrize("o3_lambda", range(7))
def test_basis_is_complete_where_there_is_no_symmetry(o3_lambda, o3_sigma):
    irrep = Irrep(o3_lambda, o3_sigma)
    if irrep == Irrep(0, 1):
        return  # a scalar needs no tensors
    num_kinds = 0
    for classes in KINDS.values():
        # more neighbors than components: so many vectors can be independent
        values = tensors(irrep, classes, [cluster(20)])[0]
        if values.shape[1] > 0:
            num_kinds += 1
            singular = torch.linalg.svdvals(values)  # (2λ + 1,)
            assert len(singular) == 2 * o3_lambda + 1
            assert singular[-1] / singular[0] > 1e-6
    assert num_kinds == (3 if o3_sigma == 1 else 2)


@pytest.mark.parametrize("kind", ["vectors", "products"])
def test_pseudovectors_do_not_vanish_at_achiral_sites(kind):
    """A bent molecule is its own mirror image, and a pseudovector may be normal to it.

    A pseudoscalar vanishes there, and so would its product with any proper tensor.
    """
    bent = ase.Atoms("CNO", [[0.0, 0.0, 0.0], [1.2, 0.0, 0.0], [0.3, 1.3, 0.0]])
    pseudovectors = tensors(Irrep(1, -1), KINDS[kind], [bent])[0]  # at C; (y, z, x)
    assert pseudovectors[1].abs().max() > 1e-3
    assert pseudovectors[[0, 2]].abs().max() < 1e-12
    assert tensors(Irrep(0, -1), KINDS[kind], [bent]).abs().max() < 1e-12


def test_density_completes_the_vectors_at_an_inversion_center():
    center = ase.Atoms(
        "CHHHH",
        [[0, 0, 0], [1.1, 0, 0], [-1.1, 0, 0], [0, 1.3, 0], [0, -1.3, 0]],
    )
    at_center = {
        name: tensors(Irrep(2, 1), kind, [center])[0].abs().max()
        for name, kind in KINDS.items()
    }
    assert at_center["vectors"] < 1e-12
    assert at_center["density"] > 1e-2


def test_number_of_vector_tensors_is_that_of_the_components():
    for irrep in [Irrep(0, -1), Irrep(1, 1), Irrep(4, 1), Irrep(5, -1)]:
        assert VectorBasis(irrep, 3).num_tensors == 2 * irrep.o3_lambda + 1


@pytest.mark.parametrize("o3_sigma", [1, -1])
@pytest.mark.parametrize("o3_lambda", range(4))
def test_tensors_are_those_of_all_kinds(o3_lambda, o3_sigma):
    irrep = Irrep(o3_lambda, o3_sigma)
    if irrep == Irrep(0, 1):
        return  # a scalar needs no tensors
    basis = TensorBasis(irrep, HYPERS, 6, 3)
    assert basis.num_tensors == tensors(irrep, ALL, [cluster(3)]).shape[2]


def test_gradient_basis_is_the_gradient():
    """Of the learned invariant, up to a factor; and its derivatives are right."""
    torch.manual_seed(0)
    basis = GradientBasis(5, 3).double()
    tensors = torch.randn(4, 7, 5).double()
    y = basis.channels(tensors).detach().requires_grad_(True)
    [gradient] = torch.autograd.grad(basis.invariant(y).sum(), y)
    torch.testing.assert_close(basis(tensors), 7 / 2 * gradient)

    tensors = tensors[:1].requires_grad_(True)
    assert torch.autograd.gradcheck(basis, tensors)
    assert torch.autograd.gradgradcheck(basis, tensors)
