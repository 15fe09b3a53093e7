"""Products of functions on the sphere, in both representations."""

import pytest
import torch

from metatrain_scalar_tensor.o3 import CartesianGaunt, SphereGrid, SphericalGaunt


@pytest.mark.parametrize(
    "ranks", [(0, 0, 0), (1, 1, 1), (2, 2, 2), (3, 3, 3), (1, 3, 2), (3, 0, 4)]
)
@pytest.mark.parametrize("Gaunt", [SphericalGaunt, CartesianGaunt])
def test_are_products_of_values_on_the_sphere(Gaunt, ranks):
    torch.manual_seed(0)
    f, g = [torch.randn(3, 2, (rank + 1) ** 2).double() for rank in ranks[:2]]
    sphere = SphereGrid(max(ranks), 3 * max(ranks)).double()
    values = [sphere.harmonics[:, : x.shape[2]] @ x.transpose(1, 2) for x in (f, g)]
    expected = sphere.project(values[0] * values[1], ranks[2]).transpose(1, 2)

    gaunt = torch.jit.script(Gaunt(*ranks).double())
    outer = f.unsqueeze(3) * g.unsqueeze(2)
    torch.testing.assert_close(gaunt(outer), expected, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("Gaunt", [SphericalGaunt, CartesianGaunt])
def test_gradients(Gaunt):
    torch.manual_seed(0)
    gaunt = Gaunt(2, 2, 2).double()

    def square(f):
        return gaunt(f.unsqueeze(3) * f.unsqueeze(2))

    f = torch.randn(1, 2, 9).double().requires_grad_(True)
    assert torch.autograd.gradcheck(square, f)
    assert torch.autograd.gradgradcheck(square, f)
