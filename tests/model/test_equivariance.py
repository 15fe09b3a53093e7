"""Whole models under rotations, reflections, translations and permutations."""

import ase
import numpy as np
import pytest
import torch

from equivariance import FRAMES, assert_equivariant, operations
from helpers import cartesian, make_model, molecules, predict, spherical


@pytest.fixture(scope="module")
def spherical_model():
    irreps = [(o3_lambda, sigma) for o3_lambda in range(7) for sigma in (1, -1)]
    return make_model({"y": spherical(*irreps, num_subtargets=2)})


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
@pytest.mark.parametrize("matrix", operations().values(), ids=operations())
def test_spherical_targets(spherical_model, frame, matrix):
    assert_equivariant(spherical_model, frame, ["y"], matrix)
    assert_equivariant(spherical_model, frame, ["y"], matrix, sample_kind="system")


@pytest.mark.parametrize("matrix", operations().values(), ids=operations())
def test_cartesian_targets_of_any_rank(matrix):
    names = [f"rank_{rank}" for rank in (1, 2, 3, 4)]
    model = make_model({n: cartesian(int(n[-1])) for n in names})
    assert_equivariant(model, FRAMES["crystal"], names, matrix)


@pytest.mark.parametrize("symmetry", ["ijk=ikj", "ijk=jik=ikj", "ijkl=jikl=klij"])
def test_cartesian_targets_with_symmetric_indices(symmetry):
    names, *others = symmetry.split("=")
    targets = {"y": cartesian(len(names))}
    model = make_model(targets, index_symmetry={"y": symmetry})
    assert_equivariant(model, FRAMES["crystal"], ["y"], operations()["rotation"])
    values = predict(model, [FRAMES["crystal"]], ["y"])["y"].block().values[..., 0]
    for other in others:
        axes = [0] + [1 + names.index(index) for index in other]
        torch.testing.assert_close(values.permute(axes), values, atol=1e-12, rtol=0)


VARIANTS = {
    "tensor-reduced species": {
        "species__type": "tensor_reduced",
        "species__correlation_order": 4,
    },
    "neighbors": {"tensor_basis__neighbors": 4},
    "gradients": {"tensor_basis__gradients": 4},
}


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
@pytest.mark.parametrize("operation", ["rotation", "improper rotation"])
def test_variants_of_the_model(changes, operation):
    model = make_model({"y": spherical((0, 1), (2, 1), (3, -1))}, **changes)
    assert_equivariant(model, FRAMES["crystal"], ["y"], operations()[operation])


def test_translations_and_permutations(spherical_model):
    frame = FRAMES["molecule"]
    order = np.random.default_rng(0).permutation(len(frame))
    moved = frame[order]
    moved.positions += [1.0, -7.0, 3.0]
    before = predict(spherical_model, [frame], ["y"])["y"]
    after = predict(spherical_model, [moved], ["y"])["y"]
    for key, block in after.items():
        expected = before.block(key).values[torch.as_tensor(order)]
        torch.testing.assert_close(block.values, expected, atol=1e-10, rtol=1e-10)


def test_extensive_targets_of_far_apart_molecules_add_up(spherical_model):
    first, second = molecules(2)
    both = first.copy()
    second.positions += 50.0
    both.extend(second)
    parts = predict(spherical_model, [first, second], ["y"], "system")["y"]
    whole = predict(spherical_model, [both], ["y"], "system")["y"]
    for key, block in whole.items():
        total = parts.block(key).values.sum(0, keepdim=True)
        torch.testing.assert_close(block.values, total, atol=1e-9, rtol=1e-9)


def test_predictions_depend_on_the_cutoff_sphere_only(spherical_model):
    """A neighbor coming through the cutoff changes nothing abruptly."""

    def at(distance):
        pair = ase.Atoms("CO", [[0.0, 0.0, 0.0], [0.0, 0.0, distance]])
        return predict(spherical_model, [pair], ["y"])["y"].block(0).values[0].detach()

    cutoff = 5.0
    torch.testing.assert_close(at(cutoff + 1e-3), at(20.0), atol=1e-12, rtol=0)
    steps = [(at(cutoff - d) - at(20.0)).abs().max() for d in (0.04, 0.02, 0.01)]
    # the switching function goes to zero as the square of the distance to the cutoff
    assert steps[0] / steps[1] == pytest.approx(4.0, rel=0.3)
    assert steps[1] / steps[2] == pytest.approx(4.0, rel=0.3)
