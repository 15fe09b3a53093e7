"""How large the floor of normalisations should be: see "Normalisation" in the theory.

Sizes of the angular channels of the density and of the ranks of messages in real data,
relative to the largest one, and perfect crystals of copper, on which a model is trained
with several floors: how its forces grow with the displacements of atoms, relative to
those of the reference (EMT).

::

    python benchmarks/normalisation.py                 # the data of this repository
    python benchmarks/normalisation.py FILE.xyz ...    # others
"""

import argparse
import tempfile
from functools import partial
from pathlib import Path
from typing import Any, List

import ase
import ase.build
import ase.io
import numpy as np
import torch
from ase.calculators.emt import EMT
from metatomic.torch import systems_to_torch
from metatomic_ase import MetatomicCalculator
from metatrain.utils.architectures import get_default_hypers
from metatrain.utils.data import DatasetInfo
from metatrain.utils.data.target_info import get_energy_target_info
from metatrain.utils.neighbor_lists import (
    get_requested_neighbor_lists,
    get_system_with_neighbor_lists,
)
from training import train

from metatrain_scalar_tensor import ScalarTensor, normalisation


DATA = Path(__file__).parent.parent / "data"
FILES = ["qm7x_train.xyz", "ethanol_reduced_100.xyz", "carbon_reduced_100.xyz"]
MAX_FRAMES = 40
FLOORS = [0.1, 0.03, 0.01, 0.001, 0.0]
AMPLITUDES = [1e-6, 1e-4, 1e-2, 1e-1]  # Å


def relative_sizes(frames: List[ase.Atoms]) -> List[np.ndarray]:
    """Root mean squares of every l and of every rank of messages and their products."""
    types = sorted({int(z) for frame in frames for z in frame.numbers})
    hypers: Any = get_default_hypers("experimental.scalar_tensor")["model"]
    hypers["messages"]["layers"] = 1
    energy = {"energy": get_energy_target_info("energy", {"unit": "eV"})}
    torch.manual_seed(0)
    model = ScalarTensor(hypers, DatasetInfo("angstrom", types, energy)).double()
    lists = get_requested_neighbor_lists(model)
    systems = [
        get_system_with_neighbor_lists(
            systems_to_torch(frame, dtype=torch.float64), lists
        )
        for frame in frames
    ]
    with torch.no_grad():
        structures = model.read(systems)
        sizes = [model.model.look(structures).density]
        model.calibrate([systems])
        density, edges = model.model.look(structures)
        layer: Any = model.model.messages.layers[0]  # type: ignore[union-attr]
        for part in layer.messages(density, edges).chunk(2, dim=1):
            sizes.append(part.split(layer.num_components, dim=2))
    rms = [np.array([float(x.pow(2).mean().sqrt()) for x in of]) for of in sizes]
    return [values / values.max() for values in rms]


def growth(floor: float) -> List[float]:
    """Forces over those of EMT, for displacements of several amplitudes."""
    cells = [
        ase.build.bulk("Cu", a=3.61 * factor) for factor in np.linspace(0.9, 1.1, 20)
    ]
    for cell in cells:
        cell.calc = EMT()
        cell.info["E"] = cell.get_potential_energy()
        cell.calc = None
    normalisation.with_floor, original = (
        partial(normalisation.with_floor, floor=floor),
        normalisation.with_floor,
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ase.io.write(folder / "train.xyz", cells[::2] + cells[1::4])
        ase.io.write(folder / "validation.xyz", cells[3::4])
        train(
            {
                "name": "experimental.scalar_tensor",
                "training": {"num_epochs": 150, "num_workers": 0},
            },
            {"energy": {"key": "E", "unit": "eV", "forces": False, "stress": False}},
            folder,
            output=folder / "model.pt",
            seed=1,
            changes=["base_precision=64"],
        )
        model = MetatomicCalculator(folder / "model.pt", check_consistency=False)
    normalisation.with_floor = original
    ratios = []
    for amplitude in AMPLITUDES:
        frame = ase.build.bulk("Cu", a=3.61).repeat(3)
        frame.rattle(amplitude, seed=1)
        forces = []
        for calculator in (model, EMT()):
            frame.calc = calculator
            forces.append(np.abs(frame.get_forces()).max())
        ratios.append(forces[0] / forces[1])
    return ratios


def main() -> None:
    """Measure and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path)
    files = parser.parse_args().files or [DATA / file for file in FILES]
    print("| data | density, l = 0, 1, … | messages | their products |")
    print("|---|---|---|---|")
    for file in files:
        frames = ase.io.read(file, f":{MAX_FRAMES}")
        columns = [", ".join(f"{x:.3f}" for x in of) for of in relative_sizes(frames)]
        print(f"| `{file.name}` | {' | '.join(columns)} |")
    print()
    print(f"| floor | {' | '.join(f'{a:g} Å' for a in AMPLITUDES)} |")
    print("|---|" + len(AMPLITUDES) * "---|")
    for floor in FLOORS:
        print(f"| {floor:g} | {' | '.join(f'{x:.3g}' for x in growth(floor))} |")


if __name__ == "__main__":
    main()
