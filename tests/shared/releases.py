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
from metatrain.utils.io import load_model
from omegaconf import OmegaConf

from files import DATA, PROJECT
from helpers import prepare
from metatrain_scalar_tensor import __version__
from options import train_in, write_options


KINDS = ["tensors", "messages", "pairs"]
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
        of_water = OmegaConf.load(PROJECT / "options" / "hamiltonian.yaml")
        options.training_set.targets = of_water.training_set.targets
    return options


def predictions(path):
    """All targets of the first three molecules of known types, as lists of numbers."""
    model = load_model(path).eval()
    known = set(model.dataset_info.atomic_types)
    frames = ase.io.read(DATA / "molecules.xyz", ":")
    frames = [frame for frame in frames if known.issuperset(frame.numbers)][:3]
    outputs = {
        name: ModelOutput(sample_kind=info.sample_kind)
        for name, info in model.dataset_info.targets.items()
    }
    with torch.no_grad():
        values = model(prepare(model, frames), outputs)
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
            packed = lzma.compress(checkpoint.read_bytes())
            values = json.dumps(predictions(checkpoint), indent=1)
            (FOLDER / f"{__version__}-{kind}.ckpt.xz").write_bytes(packed)
            (FOLDER / f"{__version__}-{kind}.json").write_text(values + "\n")


if __name__ == "__main__":
    main()
