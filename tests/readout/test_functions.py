"""Scalars in units of their fluctuations, and functions of these."""

import pytest
import torch

from atom_pairs import ATOM_TARGETS, PAIR_TARGETS, model_of_pairs
from helpers import dataset_info, make_model, molecules, prepare, target
from metatrain_scalar_tensor.readout.functions import NUM_FUNCTIONS, ScalarFunctions


NUM_SCALARS, NUM_KINDS = 5, 3


@pytest.fixture
def scalars():
    """Those of two kinds, of different sizes, and of a single center of a third."""
    torch.manual_seed(0)
    sizes = torch.logspace(-1, 0, NUM_SCALARS).double()
    kinds = torch.arange(600).remainder(2)
    values = (torch.randn(600, NUM_SCALARS).double() + 3 * kinds.unsqueeze(1)) * sizes
    values = torch.cat([values, 7 * sizes[None]])
    return values, torch.cat([kinds, torch.tensor([2])])


@pytest.fixture
def functions():
    torch.manual_seed(0)
    return ScalarFunctions(NUM_SCALARS, NUM_KINDS, 100).double()


def calibrate(functions, values, kinds):
    """As from several batches."""
    batches = zip(values.split(100), kinds.split(100), strict=True)
    functions.calibrate([functions.moments(*batch) for batch in batches])


def standard(functions, values, kinds):
    return functions(values, kinds)[:, :NUM_SCALARS]


def test_units_are_those_of_the_kind(functions, scalars):
    calibrate(functions, *scalars)
    values, kinds = standard(functions, *scalars), scalars[1]
    for kind in (0, 1):
        of_kind = values[kinds == kind]
        torch.testing.assert_close(of_kind.mean(0), 0 * of_kind[0], atol=1e-12, rtol=0)
        # up to the variance of all kinds, for ten of three hundred
        torch.testing.assert_close(
            of_kind.std(0), torch.ones(5).double(), atol=0.1, rtol=0
        )


def test_the_unit_of_a_rare_kind_is_that_of_all(functions, scalars):
    """Its own would be zero, and its next center would be infinitely unusual."""
    values, kinds = scalars
    calibrate(functions, values, kinds)
    of_all = values.std(0, correction=0)
    torch.testing.assert_close(functions.deviation[2], of_all * (10 / 11) ** 0.5)


@pytest.mark.parametrize("size", [1.0, 0.0])
def test_rounding_errors_stay_small(functions, size):
    """Scalars of a perfect crystal are the same for all atoms."""
    values = size * (1 + 1e-15 * torch.randn(50, NUM_SCALARS).double())
    kinds = torch.zeros(50, dtype=torch.long)
    calibrate(functions, values, kinds)
    largest = standard(functions, values, kinds).abs().max()
    assert largest < 1e-12
    assert size > 0 or largest == 0


def test_functions_are_smooth(functions, scalars):
    """They are nearly parabolas of each scalar: third derivatives are small."""
    calibrate(functions, *scalars)
    x = torch.randn(NUM_SCALARS).double().repeat(4, 1)
    x[:, 0] += functions.deviation[0, 0] * torch.arange(4)
    values = functions(x, torch.zeros(4, dtype=torch.long))[:, NUM_SCALARS:]
    third = values.diff(n=3, dim=0)
    assert third.abs().max() < 0.02 * values.diff(dim=0).abs().max()


def test_units_are_chosen_once():
    """Those of a trained model do not change, but those of a new target are chosen."""
    model = make_model({"energy": target(sample_kind="system")})
    assert model.model.is_calibrated()
    scale = model.model.density.scale.clone()
    targets = {"energy": target(sample_kind="system"), **PAIR_TARGETS, **ATOM_TARGETS}
    model = model.restart(dataset_info(targets))
    assert not model.model.is_calibrated()
    model.calibrate([prepare(model, molecules(3))])
    assert model.model.is_calibrated()
    units = [part.mean.clone() for part in parts(model)]
    assert all(mean.any() for mean in units)
    model.calibrate([prepare(model, molecules(6)[3:])])
    assert torch.equal(model.model.density.scale, scale)
    for part, mean in zip(parts(model), units, strict=True):
        assert torch.equal(part.mean, mean)


def parts(model):
    return [model.model.functions, model.model.atom_pairs.functions]


def test_only_atomic_bases_have_functions_of_atoms():
    model = model_of_pairs({**ATOM_TARGETS, "y": target()})
    numbers = {
        name: {block.linear.weight.shape[2] for block in head.blocks if block.linear}
        for name, head in model.model.heads().items()
    }
    number = model.model.num_products
    assert numbers["y"] == numbers["mtt::matrix"] == {number}
    assert numbers["mtt::onsite_coupled"] == {number + NUM_FUNCTIONS}
    assert numbers["mtt::onsite_cartesian"] == {number + NUM_FUNCTIONS}
    model.model.keep_targets({"y"})
    assert model.model.functions is None
