"""Point groups, environments that have them, and the tensors that they allow."""

import ase
import numpy as np
import torch
from scipy.spatial.distance import pdist

from metatrain_scalar_tensor.o3 import SphericalHarmonics


def rotation(axis, order):
    """Matrix of a rotation by 2π / order."""
    axis = np.asarray(axis, dtype=float) / np.linalg.norm(axis)
    angle = 2 * np.pi / order
    cross = np.cross(np.eye(3), axis)
    return (
        np.cos(angle) * np.eye(3)
        - np.sin(angle) * cross
        + (1 - np.cos(angle)) * np.outer(axis, axis)
    )


Z, X, XYZ = [0, 0, 1], [1, 0, 0], [1, 1, 1]
INVERSION = -np.eye(3)
SIGMA_H, SIGMA_V = np.diag([1.0, 1.0, -1.0]), np.diag([1.0, -1.0, 1.0])
C2X = rotation(X, 2)

GENERATORS = {  # the 32 crystallographic point groups
    "C1": [],
    "Ci": [INVERSION],
    "Cs": [SIGMA_H],
    **{f"C{n}": [rotation(Z, n)] for n in (2, 3, 4, 6)},
    **{f"C{n}h": [rotation(Z, n), SIGMA_H] for n in (2, 3, 4, 6)},
    **{f"C{n}v": [rotation(Z, n), SIGMA_V] for n in (2, 3, 4, 6)},
    **{f"D{n}": [rotation(Z, n), C2X] for n in (2, 3, 4, 6)},
    **{f"D{n}h": [rotation(Z, n), C2X, SIGMA_H] for n in (2, 3, 4, 6)},
    "S4": [SIGMA_H @ rotation(Z, 4)],
    "S6": [SIGMA_H @ rotation(Z, 6)],
    "D2d": [SIGMA_H @ rotation(Z, 4), C2X],
    "D3d": [SIGMA_H @ rotation(Z, 6), C2X],
    "T": [rotation(Z, 2), rotation(XYZ, 3)],
    "Th": [rotation(Z, 2), rotation(XYZ, 3), INVERSION],
    "Td": [SIGMA_H @ rotation(Z, 4), rotation(XYZ, 3)],
    "O": [rotation(Z, 4), rotation(XYZ, 3)],
    "Oh": [rotation(Z, 4), rotation(XYZ, 3), INVERSION],
}


def operations(generators):
    """All matrices of the group."""
    group = [np.eye(3)]
    for matrix in group:  # grows as new ones are found
        for generator in generators:
            product = matrix @ generator
            if not any(np.allclose(product, other) for other in group):
                group.append(product)
    return group


def environment(group, num_orbits=3, seed=0):
    """A carbon atom in a surrounding that has the symmetry, and no more.

    Its atoms are at least 0.2 Å apart, also where a point is near a mirror or an axis.
    """
    rng = np.random.default_rng(seed)
    symbols, positions = ["C"], np.zeros((1, 3))
    for symbol in "HNO"[:num_orbits]:
        distances = np.zeros(1)
        while distances.min() < 0.2:
            direction = rng.normal(size=3)
            position = rng.uniform(1.2, 2.5) * direction / np.linalg.norm(direction)
            orbit = np.array([matrix @ position for matrix in group])
            distances = pdist(np.concatenate([positions, orbit]))
        symbols += len(group) * [symbol]
        positions = np.concatenate([positions, orbit])
    return ase.Atoms(symbols, positions)


def representation(matrix, o3_lambda, o3_sigma):
    """How the components of a tensor (λ, σ) turn, ``(2λ + 1, 2λ + 1)``."""
    points = np.random.default_rng(1).normal(size=(8 * o3_lambda + 8, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    l = o3_lambda

    def harmonics(directions):
        values = SphericalHarmonics(max(l, 1))(torch.tensor(directions))
        return values[:, l**2 : (l + 1) ** 2].numpy()

    turned = np.linalg.lstsq(harmonics(points), harmonics(points @ matrix.T))[0].T
    return turned if o3_sigma == 1 or np.linalg.det(matrix) > 0 else -turned


def allowed(group, o3_lambda, o3_sigma):
    """Projector on the tensors that the symmetry allows."""
    matrices = [representation(matrix, o3_lambda, o3_sigma) for matrix in group]
    return np.mean(matrices, axis=0)
