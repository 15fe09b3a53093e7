"""What a shorter reach saves in a simulation that is divided among processes.

An engine such as LAMMPS gives a model the atoms of a domain together with all atoms
around it within the model's reach. One model of energy and dipole, and the same without
the dipole (``scalar-tensor export --outputs energy``): a step of energy and forces of a
cubic domain of water, in one process, float32, medians of steps in turn.

::

    python benchmarks/reach.py
"""

import statistics
import time
from typing import Any, Callable, Dict, Tuple

import ase
import numpy as np
import torch
from metatensor.torch import Labels
from metatomic.torch import ModelOutput, systems_to_torch
from metatrain.utils.architectures import get_default_hypers
from metatrain.utils.data import DatasetInfo
from metatrain.utils.data.target_info import (
    get_energy_target_info,
    get_generic_target_info,
)
from metatrain.utils.neighbor_lists import (
    get_requested_neighbor_lists,
    get_system_with_neighbor_lists,
)
from water import water

from metatrain_scalar_tensor import ScalarTensor


REPETITIONS = 20
MOLECULES_PER_SIDE = (3, 6)


def model_of(*names: str) -> ScalarTensor:
    """An untrained model of an energy and a dipole, of which some are kept."""
    torch.manual_seed(0)
    vector = {
        "quantity": "",
        "unit": "",
        "type": {"cartesian": {"rank": 1}},
        "sample_kind": "system",
        "num_subtargets": 1,
    }
    targets = {
        "energy": get_energy_target_info("energy", {"unit": "eV"}),
        "mtt::mu": get_generic_target_info("mtt::mu", vector),
    }
    hypers: Any = get_default_hypers("experimental.scalar_tensor")["model"]
    model = ScalarTensor(hypers, DatasetInfo("angstrom", [1, 8], targets))
    model.keep_targets(list(names))
    return model


def domain(frame: ase.Atoms, reach: float) -> Tuple[ase.Atoms, int]:
    """The atoms of a periodic cell with all within the reach of it, without period.

    :return: the atoms, those of the cell first, and their number.
    """
    length = frame.cell.lengths()[0]
    frame.wrap()
    images = frame.repeat(3)
    images.positions -= length
    distance = np.linalg.norm(
        images.positions - images.positions.clip(0.0, length), axis=1
    )
    order = np.argsort(distance > 0, kind="stable")
    is_needed = distance[order] <= reach
    atoms = images[order][is_needed]
    atoms.set_pbc(False)
    atoms.set_cell(None)
    return atoms, len(frame)


def step_of(model: ScalarTensor, atoms: ase.Atoms, num_own: int) -> Callable[[], None]:
    """A function that evaluates energy and forces."""
    system = systems_to_torch(atoms, dtype=torch.float32)
    system.positions.requires_grad_(True)
    lists = get_requested_neighbor_lists(model)
    system = get_system_with_neighbor_lists(system, lists)
    own = Labels(
        ["system", "atom"],
        torch.stack([torch.zeros(num_own), torch.arange(num_own)], dim=1).int(),
    )
    scripted = torch.jit.script(model.float().eval())
    outputs = {"energy": ModelOutput(sample_kind="system")}

    def step() -> None:
        energy = scripted([system], outputs, own)["energy"].block().values
        torch.autograd.grad(energy.sum(), system.positions)

    return step


def main() -> None:
    """Measure and print a table."""
    print("| atoms of the domain | targets | reach | atoms with copies | ms / step |")
    print("|---|---|---|---|---|")
    for number in MOLECULES_PER_SIDE:
        rows: Dict[str, Tuple[float, int, Callable[[], None]]] = {}
        for names in (("energy", "mtt::mu"), ("energy",)):
            model = model_of(*names)
            reach = model.export().capabilities().interaction_range
            atoms, num_own = domain(water(number), reach)
            step = step_of(model, atoms, num_own)
            rows[", ".join(names)] = (reach, len(atoms), step)
        times: Dict[str, list] = {what: [] for what in rows}
        for repetition in range(REPETITIONS + 3):
            for what, (_, _, step) in rows.items():
                start = time.perf_counter()
                step()
                if repetition >= 3:  # TorchScript optimizes in the first ones
                    times[what].append(1e3 * (time.perf_counter() - start))
        for what, (reach, size, _) in rows.items():
            median = statistics.median(times[what])
            print(f"| {num_own} | `{what}` | {reach:g} Å | {size} | {median:.0f} |")


if __name__ == "__main__":
    main()
