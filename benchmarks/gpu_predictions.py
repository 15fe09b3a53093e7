"""Whether predictions on a GPU are those of the CPU.

Random models with every kind of target, in both precisions, before and after an export:
the largest errors of a tensor of predictions and of gradients with respect to positions
and cell, relative to the same model in float64 on the CPU. The row ``long range`` needs
``pip install torch-pme``.

::

    python benchmarks/gpu_predictions.py     # prints a table

With ``--device cpu`` it runs without a GPU.
"""

import argparse
import tempfile
import warnings
from pathlib import Path
from typing import Any, Dict, List, Tuple

import ase.build
import torch
from metatomic.torch import (
    AtomisticModel,
    ModelEvaluationOptions,
    ModelOutput,
    NeighborListOptions,
    System,
    load_atomistic_model,
    register_autograd_neighbors,
    systems_to_torch,
)
from metatrain.utils.architectures import get_default_hypers, import_architecture
from metatrain.utils.data import DatasetInfo
from metatrain.utils.data.target_info import get_generic_target_info
from metatrain.utils.neighbor_lists import (
    get_requested_neighbor_lists,
    get_system_with_neighbor_lists,
)
from omegaconf import OmegaConf
from water import water


NAME = "experimental.scalar_tensor"
TOLERANCE = 1e-9  # of float64
Targets = Dict[str, Dict[str, Any]]


def target(kind: Any, sample_kind: str = "system", number: int = 1) -> Dict[str, Any]:
    """Description of a target as in an options file."""
    return {
        "quantity": "",
        "unit": "",
        "type": kind,
        "sample_kind": sample_kind,
        "num_subtargets": number,
    }


def cartesian(rank: int, sample_kind: str = "system") -> Dict[str, Any]:
    """A Cartesian tensor."""
    return target({"cartesian": {"rank": rank}}, sample_kind)


def spherical(irreps: Any, sample_kind: str = "atom", **more: str) -> Dict[str, Any]:
    """Irreps, or matrices between them."""
    return target({"spherical": {"irreps": irreps, **more}}, sample_kind)


def irreps(*of: Tuple[int, int]) -> List[Dict[str, int]]:
    """Irreps (λ, σ)."""
    return [{"o3_lambda": o3_lambda, "o3_sigma": sigma} for o3_lambda, sigma in of]


S, P = irreps((0, 1), (1, 1))
BASIS = {1: [{**S, "num": 2}], 6: [S, P], 8: [{**S, "num": 2}, P]}
SOME: Targets = {
    "energy": {**target("scalar"), "unit": "eV"},
    "mtt::dipole": cartesian(1),
    "mtt::y": spherical(irreps((0, -1), (2, -1), (3, 1))),
}
MODELS: Dict[str, Tuple[List[str], Targets]] = {  # changes of the hypers, and targets
    "energy": ([], {"energy": SOME["energy"]}),
    "Cartesian, ranks 1 to 3": (
        ["index_symmetry={mtt::t2: ij=ji}"],
        {f"mtt::t{rank}": cartesian(rank) for rank in (1, 2, 3)},
    ),
    "spherical": (
        [],
        {"mtt::y": spherical(irreps((0, 1), (0, -1), (3, -1), (6, 1)), "system")},
    ),
    "scalars, matrices of atoms": (
        [],
        {"mtt::s": target("scalar", "atom", 7), "mtt::m": cartesian(2, "atom")},
    ),
    "atomic basis": ([], {"mtt::density": spherical(BASIS)}),
    "pairs": (
        [],
        {
            "mtt::s": target("scalar", "atom_pair", 2),
            "mtt::v": cartesian(1, "atom_pair"),
            "mtt::y": spherical(irreps((1, 1), (2, -1)), "atom_pair"),
        },
    ),
    "products of irreps": (
        [],
        {
            "mtt::onsite": spherical(BASIS, "atom", product="coupled"),
            "mtt::coupled": spherical(BASIS, "atom_pair", product="coupled"),
            "mtt::cartesian": spherical(BASIS, "atom_pair", product="cartesian"),
        },
    ),
    "messages, spherical": (["messages.layers=1"], SOME),
    "messages, Cartesian": (
        ["messages.layers=1", "messages.representation=cartesian"],
        SOME,
    ),
    "tensor-reduced": (
        ["species.type=tensor_reduced", "species.correlation_order=4"],
        SOME,
    ),
    "gradients": (["tensor_basis.gradients=4"], SOME),
    "no neighbor sum": (["tensor_basis.neighbors=null"], SOME),
    "long range": (["long_range.enable=true"], SOME),
}


def is_cuda(device: str) -> bool:
    """Whether a device is a GPU."""
    return torch.device(device).type == "cuda"


def device_name(device: str) -> str:
    """What the numbers were measured with."""
    name = torch.cuda.get_device_name() if is_cuda(device) else "CPU"
    return f"{name}, torch {torch.__version__}, {torch.get_num_threads()} CPU threads"


def place(
    frame: ase.Atoms,
    lists: List[NeighborListOptions],
    dtype: torch.dtype,
    device: str,
) -> Tuple[System, List[torch.Tensor]]:
    """A structure with neighbor lists on a device, its positions and a strain."""
    on_cpu = systems_to_torch(frame, dtype=torch.float64)
    there = get_system_with_neighbor_lists(on_cpu, lists).to(
        dtype, torch.device(device)
    )
    positions = there.positions.requires_grad_(True)
    strain = torch.eye(3, dtype=dtype, device=device, requires_grad=True)
    system = System(there.types, positions @ strain, there.cell @ strain, there.pbc)
    for options in lists:
        neighbors = there.get_neighbor_list(options)
        register_autograd_neighbors(system, neighbors)
        system.add_neighbor_list(options, neighbors)
    return system, [positions, strain]


def load(model: Any, folder: Path, device: str) -> Any:
    """The model after an export."""
    model.export().save(str(folder / "model.pt"))
    return load_atomistic_model(str(folder / "model.pt")).to(device)


def call(model: Any, systems: List[System], outputs: Dict[str, ModelOutput]) -> Any:
    """The predictions of a model, exported or not."""
    if not isinstance(model, AtomisticModel):
        return model(systems, outputs)
    options = ModelEvaluationOptions(length_unit="angstrom", outputs=outputs)
    return model(systems, options, check_consistency=False)


def make_model(changes: List[str], targets: Targets, frames: List[ase.Atoms]) -> Any:
    """A model with random weights, in float64 on the CPU."""
    torch.manual_seed(0)
    defaults = get_default_hypers(NAME)["model"]
    hypers = OmegaConf.merge(defaults, OmegaConf.from_dotlist(changes))
    infos = {
        name: get_generic_target_info(name, info) for name, info in targets.items()
    }
    model = import_architecture(NAME).__model__(
        OmegaConf.to_container(hypers), DatasetInfo("angstrom", list(BASIS), infos)
    )
    for weights in model.parameters():
        if not weights.any():  # those of linear terms
            torch.nn.init.normal_(weights)
    model.double().eval()
    lists = get_requested_neighbor_lists(model)
    model.calibrate([[place(f, lists, torch.float64, "cpu")[0] for f in frames]])
    return model


def evaluate(
    model: Any,
    targets: Targets,
    frames: List[ase.Atoms],
    dtype: torch.dtype,
    where: str,
) -> Tuple[List[torch.Tensor], List[torch.Tensor]]:
    """Values of all targets, and gradients of random combinations of them."""
    lists = get_requested_neighbor_lists(model)
    systems, leaves = zip(*[place(frame, lists, dtype, where) for frame in frames])
    outputs = {n: ModelOutput(sample_kind=t["sample_kind"]) for n, t in targets.items()}
    generator = torch.Generator().manual_seed(0)
    values: List[torch.Tensor] = []
    gradients: List[torch.Tensor] = []
    predictions = call(model, list(systems), outputs)
    for name in targets:
        total = torch.zeros([], dtype=dtype, device=where)
        for block in predictions[name].blocks():
            weights = torch.rand(block.values.shape, generator=generator)
            total = total + (block.values * weights.to(block.values)).sum()
            values += [block.values, block.samples.values]
        inputs = [x for of_system in leaves for x in of_system]
        gradients += torch.autograd.grad(
            total, inputs, retain_graph=True, materialize_grads=True
        )
    return values, gradients


def error(values: List[torch.Tensor], references: List[torch.Tensor]) -> float:
    """The largest error of a tensor, relative to its norm."""
    errors = []
    for x, reference in zip(values, references, strict=True):
        x, reference = x.detach().double().cpu(), reference.detach().double()
        norm = float(reference.norm())
        errors.append(float((x - reference).norm()) / (norm if norm > 0 else 1.0))
    return max(errors)


def main() -> None:
    """Print the errors; an AssertionError if those of float64 are not rounding."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    device = parser.parse_args().device
    warnings.filterwarnings("ignore")
    print(device_name(device))
    frames = [water(3), ase.build.molecule("CH3CH2OH")]
    frames[1].rattle(0.1, seed=0)
    header = ["float64", "exported", "float32", "exported", "float32 on the CPU"]
    print(f"\n| model | {' | '.join(header)} |\n|{'---|' * (1 + len(header))}")
    failed: List[str] = []
    for name, (changes, targets) in MODELS.items():
        try:
            model = make_model(changes, targets, frames)
        except ImportError:  # torch-pme
            continue
        reference = evaluate(model, targets, frames, torch.float64, "cpu")
        cells: List[str] = []
        for dtype in (torch.float64, torch.float32):
            model.to(dtype)
            on_cpu = evaluate(model, targets, frames, dtype, "cpu")
            there = evaluate(model.to(device), targets, frames, dtype, device)
            with tempfile.TemporaryDirectory() as folder:
                exported = load(model.to("cpu"), Path(folder), device)
            loaded = evaluate(exported, targets, frames, dtype, device)
            results = [there, loaded] + [on_cpu] * (dtype == torch.float32)
            for result in results:
                errors = [error(*pair) for pair in zip(result, reference)]
                cells.append(" / ".join(f"{x:.0e}" for x in errors))
                if dtype == torch.float64 and not max(errors) < TOLERANCE:
                    failed.append(f"{name}: {errors}")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    assert failed == [], failed


if __name__ == "__main__":
    main()
