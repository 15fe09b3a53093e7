"""Coefficients of the tensors."""

import torch

from metatrain_scalar_tensor.readout.coefficients import Coefficients


def test_every_kind_has_weights_of_its_own():
    """Row by row, and also for a kind that does not occur."""
    torch.manual_seed(0)
    sizes = [(2, 1), (4, 3)]  # tensors and properties
    coefficients = Coefficients(num_kinds=4, num_features=5, sizes=sizes).double()
    features, kinds = torch.randn(9, 5).double(), torch.randint(3, [9])
    results = coefficients(features, kinds, member=-1)
    for weights, size, result in zip(
        coefficients.parts(coefficients.weight), sizes, results, strict=True
    ):
        assert weights.shape == (4, *size, 5)
        expected = torch.einsum("itpf,if->itp", weights[kinds], features)
        torch.testing.assert_close(result, expected.flatten(1))


def test_the_sum_over_tensors_is_as_large_as_one_of_them():
    torch.manual_seed(0)
    coefficients = Coefficients(2, 50, [(1, 100), (64, 100)])
    one, many = coefficients.parts(coefficients.weight)
    sizes = [part.square().sum(1).mean() for part in (one, many)]
    assert abs(sizes[1] / sizes[0] - 1.0) < 0.1
