"""The tensors that the coefficients multiply."""

import ase
import pytest
import torch

from helpers import cluster, hypers, make_model, prepare, spherical
from metatrain_scalar_tensor.basis import TensorBases, TensorBasis, basis_name
from metatrain_scalar_tensor.basis.gradients import GradientBasis
from metatrain_scalar_tensor.basis.pairs import MaximalPairs
from metatrain_scalar_tensor.o3 import Irrep


KINDS = {
    "vectors": {
        "vectors": True,
        "density": False,
        "pairs": None,
        "num_channels": 1,
        "gradients": None,
    },
    "density": {
        "vectors": False,
        "density": True,
        "pairs": None,
        "num_channels": 13,
        "gradients": None,
    },
    "pairs": {
        "vectors": False,
        "density": False,
        "pairs": "all",
        "num_channels": 13,
        "gradients": None,
    },
}


def tensors(irrep, kind, frames):
    """The tensors of all atoms of the frames, (atoms, 2λ + 1, tensors)."""
    model = make_model({"y": spherical((1, 1))})
    systems = prepare(model, frames)
    torch.manual_seed(1)
    density = model.density
    bases = TensorBases(kind, density.max_angular, density.num_channels)
    bases.add(irrep)
    atom_type = model.type_index(systems)
    x = density(systems, atom_type, model.edges(systems, atom_type))
    return bases.double()(x, [basis_name(irrep)])[basis_name(irrep)]


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("o3_sigma", [1, -1])
@pytest.mark.parametrize("o3_lambda", range(7))
def test_basis_is_complete_where_there_is_no_symmetry(o3_lambda, o3_sigma, kind):
    # more neighbors than components: so many vectors can be independent
    values = tensors(Irrep(o3_lambda, o3_sigma), kind, [cluster(20)])[0]
    singular = torch.linalg.svdvals(values)  # (2λ + 1,)
    assert len(singular) == 2 * o3_lambda + 1
    assert singular[-1] / singular[0] > 1e-6


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_pseudovectors_do_not_vanish_at_achiral_sites(kind):
    """A bent molecule is its own mirror image, and a pseudovector may be normal to it.

    A pseudoscalar vanishes there, and so would its product with any proper tensor.
    """
    bent = ase.Atoms("CNO", [[0.0, 0.0, 0.0], [1.2, 0.0, 0.0], [0.3, 1.3, 0.0]])
    pseudovectors = tensors(Irrep(1, -1), kind, [bent])[0]  # at C; (y, z, x)
    assert pseudovectors[1].abs().max() > 1e-3
    assert pseudovectors[[0, 2]].abs().max() < 1e-12
    assert tensors(Irrep(0, -1), kind, [bent]).abs().max() < 1e-12


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
        basis = TensorBasis(irrep, KINDS["vectors"], 6, 3)
        assert basis.num_tensors == 2 * irrep.o3_lambda + 1


def test_each_kind_can_be_switched_off():
    default = hypers()["tensor_basis"]
    switches = [{}, {"vectors": False}, {"density": False}, {"pairs": None}]
    sizes = [
        TensorBasis(Irrep(2, 1), {**default, **switch}, 6, 3).num_tensors
        for switch in switches
    ]
    assert sum(sizes[0] - size for size in sizes) == sizes[0]


def test_maximal_pairs_are_those_whose_ranks_add_up():
    def num_pairs(irrep, max_angular):
        return MaximalPairs(irrep, max_angular, 3, num_channels=1).num_tensors

    assert num_pairs(Irrep(2, 1), 4) == 1  # (1, 1)
    assert num_pairs(Irrep(5, 1), 6) == 2  # (1, 4), (2, 3)
    assert num_pairs(Irrep(2, -1), 4) == 1  # (1, 2)
    assert num_pairs(Irrep(6, -1), 4) == 1  # (3, 4): no l = 5
    assert num_pairs(Irrep(1, 1), 6) == 0


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
