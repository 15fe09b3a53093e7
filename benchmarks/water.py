"""Time per step on 648 atoms of water, beside metatrain's ``soap_bpnn``.

Everything in one process with the same threads, one repetition of each in turn, with
equal cutoff and numbers of angular and radial functions; neighbor lists are computed
beforehand. Needs ``pip install "metatrain[soap-bpnn]"``.

::

    python benchmarks/water.py           # prints a table of medians
"""

import argparse
import statistics
import time
from typing import Callable, Dict, List

import ase
import ase.build
import numpy as np
import torch
from featomic.torch import SphericalExpansion
from metatomic.torch import (
    ModelOutput,
    NeighborListOptions,
    System,
    systems_to_torch,
)
from metatrain.utils.architectures import get_default_hypers, import_architecture
from metatrain.utils.data import DatasetInfo, TargetInfo
from metatrain.utils.data.target_info import (
    get_energy_target_info,
    get_generic_target_info,
)
from metatrain.utils.neighbor_lists import (
    get_requested_neighbor_lists,
    get_system_with_neighbor_lists,
)


CUTOFF, MAX_ANGULAR, NUM_RADIAL = 5.0, 6, 8


def water(num_molecules_per_side: int = 6) -> ase.Atoms:
    """Water molecules with random orientations on a grid, at the density of water."""
    rng = np.random.default_rng(0)
    atoms = ase.Atoms(pbc=True)
    spacing = 3.107
    for cell in np.ndindex(*[num_molecules_per_side] * 3):
        molecule = ase.build.molecule("H2O")
        molecule.rotate(rng.uniform(0, 360), rng.normal(size=3))
        molecule.positions += spacing * np.array(cell)
        atoms.extend(molecule)
    atoms.set_cell([spacing * num_molecules_per_side] * 3)
    return atoms


def model(architecture: str, target: Dict[str, TargetInfo], **changes):  # noqa: ANN201
    """A model with the common cutoff and basis, and the neighbor lists it needs."""
    hypers = get_default_hypers(architecture)["model"]
    if architecture == "soap_bpnn":
        hypers["soap"]["cutoff"]["radius"] = CUTOFF
        hypers["soap"]["max_angular"] = MAX_ANGULAR
        hypers["soap"]["max_radial"] = NUM_RADIAL - 1
    else:
        hypers["expansion"]["cutoff"]["radius"] = CUTOFF
        hypers["expansion"]["basis"]["max_angular"] = MAX_ANGULAR
        hypers["expansion"]["basis"]["radial"]["max_radial"] = NUM_RADIAL - 1
    hypers.update(changes)
    info = DatasetInfo("angstrom", [1, 8], target)
    module = import_architecture(architecture).__model__(hypers, info)
    lists = get_requested_neighbor_lists(module)
    return torch.jit.script(module.float().eval()), lists


def spherical() -> Dict[str, TargetInfo]:
    """A target of every atom with λ = 0 ... 6."""
    irreps = [{"o3_lambda": l, "o3_sigma": 1} for l in range(MAX_ANGULAR + 1)]
    description = {
        "quantity": "",
        "unit": "",
        "type": {"spherical": {"irreps": irreps}},
        "sample_kind": "atom",
        "num_subtargets": 1,
    }
    return {"mtt::y": get_generic_target_info("mtt::y", description)}


def prepare(
    lists: List[NeighborListOptions], frame: ase.Atoms, gradients: bool
) -> List[System]:
    """The structure with neighbor lists, the positions as leaves where wanted."""
    system = systems_to_torch(frame, dtype=torch.float32)
    if gradients:
        system.positions.requires_grad_(True)
    return [get_system_with_neighbor_lists(system, lists)]


def energy_and_forces(architecture: str, frame: ase.Atoms, **changes) -> Callable:
    """One step of molecular dynamics."""
    energy = get_energy_target_info("energy", {"unit": "eV"})
    module, lists = model(architecture, {"energy": energy}, **changes)
    systems = prepare(lists, frame, gradients=True)

    def step() -> None:
        outputs = {"energy": ModelOutput(sample_kind="system")}
        value = module(systems, outputs)["energy"].block().values
        torch.autograd.grad(value.sum(), systems[0].positions)

    return step


def spherical_target(architecture: str, frame: ase.Atoms, **changes) -> Callable:
    """One prediction of a target with λ = 0 ... 6."""
    module, lists = model(architecture, spherical(), **changes)
    systems = prepare(lists, frame, gradients=False)

    def step() -> None:
        with torch.no_grad():
            module(systems, {"mtt::y": ModelOutput(sample_kind="atom")})

    return step


def expansion(engine: str, frame: ase.Atoms, gradients: bool) -> Callable:
    """The density alone."""
    from metatrain_scalar_tensor.density.fused import FusedExpansion

    hypers = get_default_hypers("experimental.scalar_tensor")["model"]["expansion"]
    module: torch.nn.Module
    if engine == "torch":
        module = FusedExpansion(hypers, 2).float()
        lists = [module.neighbor_list]
        module = torch.jit.script(module)
    else:
        module = SphericalExpansion(**hypers)
        lists = module.requested_neighbor_lists()
    systems = prepare(lists, frame, gradients)
    atom_type = (systems[0].types == 8).to(torch.int64)

    def step() -> None:
        with torch.set_grad_enabled(gradients):
            if engine == "torch":
                total = sum(x.sum() for x in module(systems, atom_type, torch.ones(7)))
            else:
                total = sum(b.values.sum() for b in module(systems).blocks())
            if gradients:
                torch.autograd.grad(total, systems[0].positions)

    return step


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=9)
    repetitions = parser.parse_args().repetitions
    frame = water()
    print(f"{len(frame)} atoms, {torch.get_num_threads()} threads, float32")
    groups: Dict[str, Dict[str, Callable]] = {
        "expansion, forward": {
            "scalar_tensor": expansion("torch", frame, False),
            "featomic": expansion("featomic", frame, False),
        },
        "expansion, forward and backward": {
            "scalar_tensor": expansion("torch", frame, True),
            "featomic": expansion("featomic", frame, True),
        },
        "energy and forces": {
            "scalar_tensor": energy_and_forces("experimental.scalar_tensor", frame),
            "soap_bpnn": energy_and_forces("soap_bpnn", frame, legacy=True),
            "soap_bpnn, legacy: false": energy_and_forces(
                "soap_bpnn", frame, legacy=False
            ),
        },
        "spherical target, λ = 0 ... 6": {
            "scalar_tensor": spherical_target("experimental.scalar_tensor", frame),
            "soap_bpnn": spherical_target("soap_bpnn", frame, legacy=True),
            "soap_bpnn, legacy: false": spherical_target(
                "soap_bpnn", frame, legacy=False
            ),
        },
    }
    print("\n| task | what | ms | ratio |")
    print("|---|---|---|---|")
    for task, steps in groups.items():
        times: Dict[str, List[float]] = {name: [] for name in steps}
        for repetition in range(repetitions + 3):
            for name, step in steps.items():
                start = time.perf_counter()
                step()
                if repetition >= 3:  # TorchScript optimises in the first calls
                    times[name].append(1e3 * (time.perf_counter() - start))
        medians = {name: statistics.median(values) for name, values in times.items()}
        for name, median in medians.items():
            ratio = median / medians["scalar_tensor"]
            print(f"| {task} | {name} | {median:.1f} | {ratio:.1f} |", flush=True)


if __name__ == "__main__":
    main()
