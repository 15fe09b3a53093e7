"""Products of functions on the sphere, in both representations."""

import pytest
import torch

from metatrain_scalar_tensor.o3 import CartesianGaunt, SphereGrid, SphericalGaunt


@pytest.mark.parametrize("max_rank", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("Gaunt", [SphericalGaunt, CartesianGaunt])
def test_are_products_of_values_on_the_sphere(Gaunt, max_rank):
    torch.manual_seed(0)
    f, g = torch.randn(2, 3, 2, (max_rank + 1) ** 2).double()
    sphere = SphereGrid(max_rank, 3 * max_rank).double()
    values = sphere(f.transpose(1, 2)) * sphere(g.transpose(1, 2))
    expected = sphere.project(values, max_rank).transpose(1, 2)

    gaunt = torch.jit.script(Gaunt(max_rank).double())
    outer = gaunt.components(f).unsqueeze(3) * gaunt.components(g).unsqueeze(2)
    assert outer.shape == (3, 2, gaunt.size, gaunt.size)
    torch.testing.assert_close(gaunt(outer), expected, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("Gaunt", [SphericalGaunt, CartesianGaunt])
def test_gradients(Gaunt):
    torch.manual_seed(0)
    gaunt = Gaunt(2).double()

    def square(f):
        components = gaunt.components(f)
        return gaunt(components.unsqueeze(3) * components.unsqueeze(2))

    f = torch.randn(1, 2, 9).double().requires_grad_(True)
    assert torch.autograd.gradcheck(square, f)
    assert torch.autograd.gradgradcheck(square, f)
