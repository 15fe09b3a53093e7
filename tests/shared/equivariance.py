"""Structures and models under rotations and reflections."""

import numpy as np
import torch
from metatensor.torch import TensorMap
from metatomic.torch.o3 import O3Transformations
from scipy.spatial.transform import Rotation

from helpers import crystal, molecules, predict


TOLERANCE = 1e-10
FRAMES = {"molecule": molecules(1)[0], "crystal": crystal()}
REFLECTION = np.diag([1.0, 1.0, -1.0])


def transformed(frame, matrix):
    frame = frame.copy()
    frame.set_cell(frame.cell.array @ matrix.T)
    frame.positions = frame.positions @ matrix.T
    return frame


def operations():
    rotation = Rotation.random(rng=np.random.default_rng(3)).as_matrix()
    return {
        "rotation": rotation,
        "inversion": -np.eye(3),
        "reflection": rotation @ REFLECTION @ rotation.T,
        "improper rotation": rotation @ REFLECTION,
    }


def assert_equivariant(model, frame, names, matrix, sample_kind="atom"):
    operation = O3Transformations(torch.tensor(matrix).unsqueeze(0), 6)
    before = predict(model, [frame], names, sample_kind)
    after = predict(model, [transformed(frame, matrix)], names, sample_kind)
    for name in names:
        expected: TensorMap = operation.transform_tensormap(before[name])
        for key, block in after[name].items():
            scale = block.values.abs().max()
            assert scale > 1e-6
            error = (block.values - expected.block(key).values).abs().max()
            assert error / scale < TOLERANCE, (name, key)
