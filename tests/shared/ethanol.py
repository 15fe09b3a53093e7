"""A small model of ethanol after a short training, for the simulation engines."""

import ase.io
import numpy as np

from files import ETHANOL
from options import train_in, write_options


def train_on_ethanol(folder, precision, **changes):
    """Write ``model.pt`` and ``model.ckpt`` with ``energy`` and two tensors.

    The data have neither dipoles nor polarizabilities: ``mtt::mu`` and ``mtt::alpha``
    learn some vector and some symmetric matrix.
    """
    options = write_options(
        systems=folder / "data.xyz",
        base_precision=precision,
        validation_set=0.1,
        test_set=0.1,
        architecture__model={
            "expansion": {
                "basis": {"max_angular": 4, "radial": {"max_radial": 4}},
                "cutoff": {"radius": 4.0},
            },
            "network": {"num_neurons_per_layer": 32},
        },
        architecture__training={"num_epochs": 10, "learning_rate": 3e-3},
        **changes,
    )
    del options.training_set.targets["mtt::alpha"]
    options.training_set.targets["energy"] = {
        "key": "energy",
        "unit": "kcal/mol",
        "forces": {"key": "forces"},
        "stress": False,
    }
    frames = ase.io.read(ETHANOL, ":")
    for frame in frames:
        forces = frame.get_forces()
        frame.info["energy"] = frame.get_potential_energy()
        frame.arrays["forces"] = forces
        frame.info["mu"] = forces[0]
        frame.info["alpha"] = np.einsum("ia,ib->ab", forces, forces).flatten()
        frame.calc = None
    ase.io.write(folder / "data.xyz", frames, format="extxyz")
    train_in(folder, options, extensions=folder / "extensions")
    return folder
