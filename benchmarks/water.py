"""Time per step on 648 atoms of water, beside metatrain's other architectures.

Everything in one process with the same threads, one repetition of each in turn; ``pet``
and ``experimental.space``, which take very long, afterwards. ``soap_bpnn`` has equal
cutoff and numbers of angular and radial functions, these two have their defaults.
Neighbor lists are computed beforehand. Needs
``pip install "metatrain[soap-bpnn,space]" matplotlib``; what is not installed is left
out.

::

    python benchmarks/water.py           # prints tables of medians and makes a plot
"""

import argparse
import statistics
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence

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
from omegaconf import OmegaConf
from roofline import ceilings, work

from metatrain_scalar_tensor.density.fused import FusedExpansion
from metatrain_scalar_tensor.structures import (
    EdgeFunctions,
    StructureReader,
    read_neighbor_list,
)


CUTOFF, MAX_ANGULAR, NUM_RADIAL = 5.0, 6, 8
ARCHITECTURES: Dict[str, Dict[str, Any]] = {  # name, and changes of the hypers
    "scalar_tensor": {"name": "experimental.scalar_tensor"},
    "soap_bpnn": {"name": "soap_bpnn", "legacy": True},
    "soap_bpnn, legacy: false": {"name": "soap_bpnn", "legacy": False},
    "pet": {"name": "pet"},
    "space": {"name": "experimental.space"},
}
SLOW = ("pet", "space")  # measured apart: their memory traffic disturbs the others
Step = Callable[[], Any]


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


def model_hypers(what: str) -> Dict[str, Any]:
    """Defaults, with the common cutoff and basis where the architecture has them."""
    changes = dict(ARCHITECTURES[what])
    name = changes.pop("name")
    radial = {"max_radial": NUM_RADIAL - 1}
    common: Dict[str, Any] = {
        "soap_bpnn": {
            "soap": {
                "cutoff": {"radius": CUTOFF},
                "max_angular": MAX_ANGULAR,
                **radial,
            }
        },
        "experimental.scalar_tensor": {
            "expansion": {
                "cutoff": {"radius": CUTOFF},
                "basis": {"max_angular": MAX_ANGULAR, "radial": radial},
            }
        },
    }
    defaults = get_default_hypers(name)["model"]
    hypers = OmegaConf.merge(defaults, common.get(name, {}), changes)
    return OmegaConf.to_container(hypers)  # type: ignore[return-value]


def energy() -> Dict[str, TargetInfo]:
    """An energy."""
    return {"energy": get_energy_target_info("energy", {"unit": "eV"})}


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


def prediction(
    what: str,
    target: Dict[str, TargetInfo],
    frame: ase.Atoms,
    gradients: bool,
    atomic_types: Sequence[int] = (1, 8),
) -> Optional[Step]:
    """One evaluation by a TorchScript model; forces too with ``gradients``."""
    info = DatasetInfo("angstrom", list(atomic_types), target)
    try:
        architecture = import_architecture(ARCHITECTURES[what]["name"])
        module = architecture.__model__(model_hypers(what), info)
    except (ImportError, ValueError):  # not installed, or λ is too large for it
        return None
    lists = get_requested_neighbor_lists(module)
    script = torch.jit.script(module.float().eval().export().module)
    systems = prepare(lists, frame, gradients)
    outputs = {
        name: ModelOutput(sample_kind=info.sample_kind) for name, info in target.items()
    }

    def step() -> None:
        with torch.set_grad_enabled(gradients):
            [prediction] = script(systems, outputs).values()
            if gradients:
                value = prediction.block().values.sum()
                torch.autograd.grad(value, systems[0].positions)

    return step


def expansion(what: str, frame: ase.Atoms, gradients: bool) -> Optional[Step]:
    """The density alone, and its product with random gradients."""
    hypers = model_hypers("scalar_tensor")["expansion"]
    evaluate: Callable[[], List[torch.Tensor]]
    if what == "featomic":
        calculator = SphericalExpansion(**hypers)
        systems = prepare(calculator.requested_neighbor_lists(), frame, gradients)

        def evaluate() -> List[torch.Tensor]:
            return [block.values for block in calculator(systems).blocks()]

    elif what.startswith("torch-spex"):
        try:
            from spex.spherical_expansion import SphericalExpansion as SpexExpansion
        except ImportError:
            return None
        # without `trim`, as many radial functions for every l as the others have
        radial = {"max_radial": NUM_RADIAL - 1, "trim": "trimmed" in what}
        spex = torch.jit.script(
            SpexExpansion(
                CUTOFF,
                MAX_ANGULAR,
                radial={"LaplacianEigenstates": radial},
                angular="SphericalHarmonics",
                species={"Orthogonal": {"species": [1, 8]}},
                cutoff_function={"ShiftedCosine": {"width": 0.5}},
            ).float()
        )
        options = NeighborListOptions(CUTOFF, full_list=True, strict=True)
        systems = prepare([options], frame, gradients)

        def evaluate() -> List[torch.Tensor]:
            first, second, _, vectors = read_neighbor_list(systems, options)
            return spex(vectors, first, second, systems[0].types)

    else:
        functions = EdgeFunctions(hypers).float()
        systems = prepare([functions.neighbor_list], frame, gradients)
        read = torch.jit.script(StructureReader([1, 8], functions.neighbor_list, 0.1))
        edges = torch.jit.script(functions)
        density = torch.jit.script(FusedExpansion(hypers).float())
        scale = torch.ones(MAX_ANGULAR + 1)

        def evaluate() -> List[torch.Tensor]:
            structures = read(systems)
            of_structures = edges(structures.neighbor_list, structures.types)
            return density(structures, of_structures, scale)

    weights = [torch.randn_like(x) for x in evaluate()]

    def step() -> None:
        with torch.set_grad_enabled(gradients):
            density = evaluate()
            if gradients:
                torch.autograd.grad(density, systems[0].positions, weights)

    return step


def measure(steps: Dict[str, Optional[Step]], rounds: int) -> Dict[str, float]:
    """Median time of every step in ms.

    Each runs three times in a row, in turn with the others. The first of the three is
    not counted, since it finds the caches as the others have left them, nor are the
    first two rounds, in which TorchScript optimises.
    """
    times: Dict[str, List[float]] = {k: [] for k, step in steps.items() if step}
    for i in range(rounds + 2):
        for name in times:
            for repetition in range(3):
                start = time.perf_counter()
                steps[name]()  # type: ignore[misc]
                if i > 1 and repetition > 0:
                    times[name].append(1e3 * (time.perf_counter() - start))
    return {name: statistics.median(values) for name, values in times.items()}


def plot(results: Dict[str, Dict[str, float]], path: Path) -> None:
    """How many times longer than ``scalar_tensor`` everything else takes."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 2, figsize=(8.4, 4.6), layout="constrained")
    for axis, (task, medians) in zip(axes.flat, results.items()):
        ratios = {k: v / medians["scalar_tensor"] for k, v in medians.items()}
        names = list(ratios)[::-1]
        colors = ["C1" if "scalar_tensor" in name else "C0" for name in names]
        bars = axis.barh(names, [ratios[name] for name in names], color=colors)
        axis.bar_label(bars, fmt="%.1f", padding=2, fontsize=9)
        axis.set_xscale("log")
        axis.set_xlim(0.2, 3 * max(ratios.values()))
        axis.set_title(task, fontsize=10)
        axis.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("time, in units of scalar_tensor's", fontsize=10)
    figure.savefig(path, dpi=130)


def main() -> None:
    """Measure, print and plot."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--plot", type=Path, default=Path("water-benchmark.png"))
    arguments = parser.parse_args()
    frame = water()
    print(f"{len(frame)} atoms, {torch.get_num_threads()} threads, float32")
    expansions = ["scalar_tensor", "torch-spex, trimmed", "torch-spex", "featomic"]
    groups: Dict[str, Dict[str, Optional[Step]]] = {
        "expansion, forward": {
            name: expansion(name, frame, gradients=False) for name in expansions
        },
        "expansion, forward and backward": {
            name: expansion(name, frame, gradients=True) for name in expansions
        },
        "energy and forces": {
            name: prediction(name, energy(), frame, gradients=True)
            for name in ARCHITECTURES
            if "pairs" not in name  # which do not matter for scalars
        },
        "spherical target, λ = 0 … 6": {
            name: prediction(name, spherical(), frame, gradients=False)
            for name in ARCHITECTURES
        },
    }
    print("\n| task | what | ms | ratio |")
    print("|---|---|---|---|")
    results: Dict[str, Dict[str, float]] = {}
    for task, steps in groups.items():
        slow = {name: steps.pop(name) for name in SLOW if name in steps}
        results[task] = measure(steps, arguments.rounds)
        results[task].update(measure(slow, 1))
        for name, median in results[task].items():
            ratio = median / results[task]["scalar_tensor"]
            print(f"| {task} | {name} | {median:.1f} | {ratio:.1f} |", flush=True)
    plot(results, arguments.plot)

    bandwidth, peak = ceilings()
    print(f"\nceilings: {bandwidth / 1e9:.1f} GB/s, {peak / 1e9:.0f} GFLOP/s\n")
    print("| task | MB | MFLOP | ms at the bandwidth | ms at the peak | ms |")
    print("|---|---|---|---|---|---|")
    for task, steps in groups.items():
        step = steps["scalar_tensor"]
        assert step is not None
        moved, flops = work(step)
        print(
            f"| {task} | {moved / 1e6:.0f} | {flops / 1e6:.0f} "
            f"| {1e3 * moved / bandwidth:.1f} | {1e3 * flops / peak:.1f} "
            f"| {results[task]['scalar_tensor']:.1f} |"
        )


if __name__ == "__main__":
    main()
