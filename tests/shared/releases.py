"""Checkpoints of released versions, with what they predict.

``python tests/shared/releases.py`` trains small models with the present version and
writes, for each of them, the checkpoint and its predictions to
``tests/interface/releases``.
"""

import json
import lzma
import tempfile
from pathlib import Path

import ase.io
import torch
from metatomic.torch import ModelOutput
from metatrain.utils.data import DiskDataset
from metatrain.utils.io import load_model
from metatrain.utils.neighbor_lists import (
    get_requested_neighbor_lists,
    get_system_with_neighbor_lists,
)

from files import DATA, PROJECT
from helpers import prepare
from metatrain_scalar_tensor import __version__
from options import train_in, write_options


FOLDER = PROJECT / "tests" / "interface" / "releases"
WATER = DATA / "hamiltonian" / "water_sto3g.zip"
ENERGY = {"key": "energy", "unit": "eV", "forces": {"key": "forces"}, "stress": False}
MESSAGES = {
    "expansion": {"basis": {"radial": {"type": "Bessel"}}},
    "species": {"type": "tensor_reduced", "num_channels": 8},
    "messages": {"layers": 1, "channels": 8},
}


def options_of(kind):
    """Options of a small run of one kind: tensors, messages or pairs."""
    options = write_options(
        systems=DATA / "molecules.xyz",
        architecture__model__expansion__basis__radial__max_radial=1,
        architecture__model__tensor_basis__neighbors=2,
        architecture__training={"solve_heads": True, "num_ensemble_members": 2},
    )
    if kind != "pairs":
        options.training_set.targets["energy"] = ENERGY
    if kind == "messages":
        options.architecture.model.merge_with(MESSAGES)
        options.architecture.training.optimizer = "Muon"
    elif kind == "pairs":
        options.training_set.systems.read_from = str(WATER)
        options.architecture.model.atom_pairs = {"num_channels": 2, "num_functions": 8}
        irreps = {
            1: [{"o3_lambda": 0, "o3_sigma": 1, "num": 1}],
            8: [
                {"o3_lambda": 0, "o3_sigma": 1, "num": 2},
                {"o3_lambda": 1, "o3_sigma": 1, "num": 1},
            ],
        }
        options.training_set.targets = {
            f"mtt::fock_{which}": {
                "key": f"mtt::fock_{which}",
                "sample_kind": sample_kind,
                "unit": "eV",
                "type": {"spherical": {"product": "cartesian", "irreps": irreps}},
            }
            for which, sample_kind in (("onsite", "atom"), ("offsite", "atom_pair"))
        }
    return options


KINDS = ["tensors", "messages", "pairs"]


def predictions(path, kind):
    """All targets of the first three structures of the data, as lists of numbers."""
    model = load_model(path).eval()
    if kind == "pairs":
        lists = get_requested_neighbor_lists(model)
        data = DiskDataset(WATER)
        systems = [
            get_system_with_neighbor_lists(data[i]["system"], lists) for i in range(3)
        ]
    else:
        systems = prepare(model, ase.io.read(DATA / "molecules.xyz", ":3"))
    outputs = {
        name: ModelOutput(sample_kind=info.sample_kind)
        for name, info in model.dataset_info.targets.items()
    }
    with torch.no_grad():
        values = model(systems, outputs)
    return {
        name: [x for block in target.blocks() for x in block.values.flatten().tolist()]
        for name, target in sorted(values.items())
    }


def unpacked(path, folder):
    """The checkpoint in a compressed file, as a file in a folder."""
    checkpoint = folder / "model.ckpt"
    checkpoint.write_bytes(lzma.decompress(path.read_bytes()))
    return checkpoint


def main():
    """Write the files of the present version."""
    for kind in KINDS:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            train_in(folder, options_of(kind))
            checkpoint = folder / "model.ckpt"
            name = FOLDER / f"{__version__}-{kind}"
            packed = lzma.compress(checkpoint.read_bytes())
            Path(f"{name}.ckpt.xz").write_bytes(packed)
            of_model = json.dumps(predictions(checkpoint, kind), indent=1)
            Path(f"{name}.json").write_text(of_model + "\n")


if __name__ == "__main__":
    main()
