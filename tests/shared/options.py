"""Options of small training runs, and the runs.

What takes most of the time of a small run is left out, unless a test asks for it: the
solution of the heads (``architecture__training__solve_heads``), and the errors of the
exported model at the end (``final_eval``).
"""

import copy

import torch
from metatrain.cli.train import train_model
from omegaconf import OmegaConf

from files import DATA


SMALL = {
    "seed": 1,
    "base_precision": 64,
    "architecture": {
        "name": "experimental.scalar_tensor",
        "model": {
            "expansion": {
                "basis": {"max_angular": 2, "radial": {"max_radial": 2}},
            },
            "network": {"num_neurons_per_layer": 8},
            "tensor_basis": {"num_channels": 2},
        },
        "training": {
            "batch_size": 4,
            "num_epochs": 2,
            "num_workers": 0,
            "solve_heads": False,
        },
    },
    "training_set": {
        "systems": {
            "read_from": str(DATA / "qm7x_train.xyz"),
            "length_unit": "angstrom",
        },
        "targets": {
            "mtt::mu": {
                "key": "mu",
                "type": {"cartesian": {"rank": 1}},
                "unit": "e*A",
            },
            "mtt::alpha": {
                "key": "alpha",
                "type": {"cartesian": {"rank": 2}},
                "unit": "bohr^3",
            },
        },
    },
    "validation_set": 0.2,
    "test_set": 0.6,
    "final_eval": False,
}


def write_options(systems=None, **changes):
    """Options of a run on 20 molecules, with changes given by dotted path."""
    options = OmegaConf.create(copy.deepcopy(SMALL))
    if systems is not None:
        options.training_set.systems.read_from = str(systems)
    for path, value in changes.items():
        OmegaConf.update(options, path.replace("__", "."), value, merge=True)
    return options


def train_in(folder, options, **kwargs):
    """Train in a folder, which is made if need be, and return the checkpoint."""
    folder.mkdir(exist_ok=True)
    train_model(options, output=folder / "model.pt", checkpoint_dir=folder, **kwargs)
    return torch.load(folder / "model.ckpt", weights_only=False)
