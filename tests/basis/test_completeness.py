"""At a symmetric site the outputs span all that the symmetry allows, and no more."""

import ase
import numpy as np
import pytest

from helpers import make_model, predict, spherical
from point_groups import (
    GENERATORS,
    SIGMA_H,
    SIGMA_V,
    Z,
    allowed,
    environment,
    operations,
    rotation,
)


IRREPS = [(o3_lambda, o3_sigma) for o3_lambda in range(5) for o3_sigma in (1, -1)]
# A density with l ≤ 6 is the same as in these larger groups: the first harmonic that
# tells D6 from D6h has l = 7, and the first that tells O from Oh has l = 9.
LOOKS_LIKE = {"D6": "D6h", "O": "Oh"}


def check(model, atoms, group):
    outputs = predict(model, [atoms], ["y"])["y"]
    for o3_lambda, o3_sigma in IRREPS:
        block = outputs.block({"o3_lambda": o3_lambda, "o3_sigma": o3_sigma})
        values = block.values[0].detach().numpy()  # (2λ + 1, properties)
        projector = allowed(group, o3_lambda, o3_sigma)
        np.testing.assert_allclose(projector @ values, values, atol=1e-10)
        singular = np.linalg.svd(values, compute_uv=False)
        num_allowed = round(np.trace(projector))
        assert np.sum(singular > 1e-7) == num_allowed, (o3_lambda, o3_sigma, singular)


@pytest.fixture(scope="module")
def model():
    return make_model({"y": spherical(*IRREPS, num_subtargets=12)})


@pytest.mark.parametrize("name", GENERATORS)
def test_crystallographic_point_groups(model, name):
    group = operations(GENERATORS[name])
    atoms = environment(group, num_orbits=3 if len(group) < 24 else 2)
    check(model, atoms, operations(GENERATORS[LOOKS_LIKE.get(name, name)]))


@pytest.mark.parametrize("name", LOOKS_LIKE)
def test_higher_angular_channels_tell_the_others_apart(name):
    model = make_model(
        {"y": spherical(*IRREPS, num_subtargets=12)}, expansion__basis__max_angular=9
    )
    group = operations(GENERATORS[name])
    check(model, environment(group, num_orbits=2), group)


def test_planar_environment(model):
    positions = np.random.default_rng(0).uniform(-2, 2, (8, 3))
    positions[0], positions[:, 2] = 0.0, 0.0
    check(model, ase.Atoms("CHNOHNOH", positions), operations([SIGMA_H]))


@pytest.mark.parametrize("heights", [[1.2], [1.2, -1.5, 2.1]], ids=["single", "linear"])
def test_single_neighbor_and_linear_environment(model, heights):
    atoms = ase.Atoms("CHNO"[: len(heights) + 1], [[0, 0, z] for z in [0, *heights]])
    # for λ ≤ 4 an axis of order 11 allows the same as one of infinite order
    check(model, atoms, operations([rotation(Z, 11), SIGMA_V]))
