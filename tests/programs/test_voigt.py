"""Tensors in Voigt's notation, and with an axis for every index."""

import ase.io
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from helpers import molecules
from metatrain_scalar_tensor.command.convert import convert
from metatrain_scalar_tensor.programs.symmetric import full_tensors, voigt


RNG = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(6,), (3, 6), (6, 6)])
def test_round_trip(shape, in_temporary_folder):
    matrix = RNG.normal(size=shape)
    tensor = full_tensors(matrix.flatten())
    np.testing.assert_array_equal(voigt(tensor), matrix)
    frames = molecules(2)
    for frame in frames:
        frame.info["c"] = matrix
        frame.arrays["c"] = np.tile(matrix.flatten(), (len(frame), 1))
    ase.io.write("data.xyz", frames)
    convert("data.xyz", "full.xyz", ["c"], "voigt")
    for frame in ase.io.read("full.xyz", ":"):
        found = np.reshape(frame.info["c"], tensor.shape)
        np.testing.assert_allclose(found, tensor, atol=1e-8)
        found = frame.arrays["c"].reshape(len(frame), *tensor.shape)
        np.testing.assert_allclose(found[-1], tensor, atol=1e-8)


def test_stiffness_turns_with_the_crystal():
    """Energy density of a strain, ε·C·ε / 2 with engineering strains, is invariant."""
    matrix = RNG.normal(size=(6, 6))
    matrix = matrix + matrix.T
    tensor = full_tensors(matrix.flatten())
    r = Rotation.random(rng=1).as_matrix()
    turned = np.einsum("ai,bj,ck,dl,ijkl->abcd", r, r, r, r, tensor)
    strain = RNG.normal(size=(3, 3))
    strain = strain + strain.T
    engineering = np.array([1, 1, 1, 2, 2, 2])

    def energy(matrix, strain):
        e = engineering * voigt(strain)
        return 0.5 * e @ matrix @ e

    found = energy(voigt(turned), r @ strain @ r.T)
    np.testing.assert_allclose(found, energy(matrix, strain), rtol=1e-12)


def test_tensors_without_voigt_notation():
    with pytest.raises(ValueError, match="not symmetric .* differ by"):
        voigt(np.arange(9.0).reshape(3, 3))
    with pytest.raises(ValueError, match=r"shape \(2, 3, 3\) has no Voigt notation"):
        voigt(np.zeros((2, 3, 3)))
