"""How fast a GPU is: steps of molecular dynamics, and training.

A step is energy and forces of water by exported models, for 81 to 648,000 atoms, with
neighbor lists computed beforehand. The bytes moved are those that the operations read
and write, and their share of the bandwidth, measured by a copy, is that while kernels
run. The trainings, with solved heads, are the same on the CPU and on the GPU. For the
rows of ``soap_bpnn``: ``pip install "metatrain[soap-bpnn]"``.

::

    python benchmarks/gpu.py             # prints two tables

With ``--device cpu --sizes 3 6`` it runs without a GPU.
"""

import argparse
import gc
import logging
import os
import statistics
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence, Tuple

import ase
import ase.io
import torch
from gpu_predictions import NAME, call, device_name, is_cuda, load, place
from metatomic.torch import ModelOutput
from metatrain.utils.architectures import import_architecture
from metatrain.utils.data import DatasetInfo
from metatrain.utils.neighbor_lists import get_requested_neighbor_lists
from roofline import Traffic
from training import TARGETS, train
from water import ARCHITECTURES, energy, model_hypers, water


DATA = Path(__file__).parent.parent / "data"


def box(side: int, seed: int) -> ase.Atoms:
    """Water with a number of molecules along every edge, slightly displaced."""
    frame = water(6).repeat(side // 6) if side % 6 == 0 else water(side)
    frame.rattle(0.03, seed=seed)
    return frame


def timed(step: Callable[[], Any], device: str) -> float:
    """Milliseconds of one call."""
    if is_cuda(device):
        torch.cuda.synchronize()
    start = time.perf_counter()
    step()
    if is_cuda(device):
        torch.cuda.synchronize()
    return 1e3 * (time.perf_counter() - start)


def bandwidth(device: str) -> float:
    """Bytes per second of a copy, read and written."""
    source = torch.rand(2**28 if is_cuda(device) else 2**24, device=device)
    copy = torch.empty_like(source)
    milliseconds = [timed(lambda: copy.copy_(source), device) for _ in range(20)]
    return 2e3 * source.nbytes / statistics.median(milliseconds)


def busy(step: Callable[[], Any]) -> Tuple[int, float]:
    """Number of kernels in a step, and the milliseconds in which the GPU is busy."""
    activities = [torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profiler:
        step()
        torch.cuda.synchronize()
    events = profiler.key_averages()
    kernels = sum(e.count for e in events if e.self_device_time_total > 0)
    return kernels, 1e-3 * sum(e.self_device_time_total for e in events)


def dynamics(
    what: str, side: int, dtype: torch.dtype, device: str, folder: Path
) -> str:
    """Measure a step: cells of a table."""
    info = DatasetInfo("angstrom", [1, 8], energy())
    torch.manual_seed(0)
    architecture = import_architecture(ARCHITECTURES[what]["name"])
    model = architecture.__model__(model_hypers(what), info).to(dtype).eval()
    exported = load(model, folder, device)
    lists = get_requested_neighbor_lists(exported)
    # in turn, since the lengths of neighbor lists change in a simulation, too
    number = 3 if side < 24 else 1
    placed = [place(box(side, seed), lists, dtype, device) for seed in range(number)]
    outputs = {"energy": ModelOutput(sample_kind="system")}
    num_atoms = 3 * side**3

    def step(function: Any, i: int) -> None:
        system, leaves = placed[i % number]
        values = call(function, [system], outputs)["energy"].block().values
        torch.autograd.grad(values.sum(), leaves[:1], retain_graph=True)

    first = timed(lambda: step(exported, 0), device)
    for i in range(1, 9):  # TorchScript optimises
        step(exported, i)
    if is_cuda(device):
        torch.cuda.reset_peak_memory_stats()
    times: List[float] = []
    start = time.perf_counter()
    while len(times) < 6 or (time.perf_counter() - start < 2.0 and len(times) < 60):
        times.append(timed(lambda: step(exported, len(times)), device))
    ms = statistics.median(times)
    cells = [f"{ms:.2f}", f"{1e3 * num_atoms / ms:.3g}", f"{1e-3 * first:.1f}"]
    if is_cuda(device):
        peak = torch.cuda.max_memory_allocated()
        kernels, in_kernels = busy(lambda: step(exported, 0))
        cells += [f"{peak / num_atoms / 1024:.0f}", f"{kernels}", f"{in_kernels:.2f}"]
        if what == "scalar_tensor":
            with Traffic() as traffic:
                step(model.to(device), 0)
            share = 1e3 * traffic.bytes / bandwidth(device) / in_kernels
            cells += [f"{traffic.bytes / num_atoms / 1024:.0f}", f"{share:.2f}"]
    return " | ".join(cells)


def simulations(device: str, sides: Sequence[int], folder: Path) -> None:
    """Print the table of steps."""
    print(f"\ncopy: {bandwidth(device) / 1e9:.0f} GB/s\n")
    print(
        "| atoms | what | ms | atoms / s | first call, s | kB / atom | kernels "
        "| ms in kernels | kB moved / atom | share of bandwidth |"
    )
    print(f"|{'---|' * 10}")
    whats = [name for name in ARCHITECTURES if name.startswith(("scalar", "soap"))]
    runs = [
        ("scalar_tensor", torch.float32, "cpu"),
        ("scalar_tensor", torch.float64, ""),
    ]
    runs = [(what, torch.float32, "") for what in whats] + runs
    for side in sides:
        for what, dtype, where in runs:
            if (what, dtype, where) != runs[0] and side > 36 or where and side > 18:
                continue
            title = f"{what}, {dtype}, {where or device}".replace("torch.", "")
            try:
                cells = dynamics(what, side, dtype, where or device, folder)
            except ImportError:
                continue
            except RuntimeError as problem:  # no memory, also in TorchScript
                cells = "failed"
                logging.error(problem)
            gc.collect()
            if is_cuda(device):
                torch.cuda.empty_cache()
            print(f"| {3 * side**3} | {title} | {cells} |", flush=True)


class Lines(logging.Handler):
    """Remembers what was logged, and when."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: List[Tuple[float, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Look at one line."""
        self.lines.append((time.perf_counter(), record.getMessage()))

    def times(self, beginning: str) -> List[float]:
        """When lines with this beginning were logged."""
        return [when for when, line in self.lines if line.startswith(beginning)]


def write_data(folder: Path) -> Dict[str, Path]:
    """Training and validation sets of every task, in a folder of their own."""
    sets = {
        "energy and forces": ase.io.read(DATA / "ethanol_reduced_100.xyz", ":80"),
        "dipole and polarizability": ase.io.read(DATA / "qm7x_train.xyz", ":"),
    }
    folders = {name: folder / str(i) for i, name in enumerate(sets)}
    for name, frames in sets.items():
        folders[name].mkdir()
        num_validation = len(frames) // 4
        ase.io.write(folders[name] / "train.xyz", frames[num_validation:])
        ase.io.write(folders[name] / "validation.xyz", frames[:num_validation])
    return folders


def train_once(task: str, data: Path, device: str, precision: int, *more: str) -> str:
    """Train for 11 epochs; cells of a table."""
    changes = [f"device={device}", f"base_precision={precision}", *more]
    options: Dict[str, Any] = {
        "name": NAME,
        "training": {
            "num_epochs": 11,
            "log_interval": 5,
            "num_workers": 0,
            "batch_size": 20,
        },
    }
    lines = Lines()
    logging.root.setLevel(logging.INFO)
    logging.root.addHandler(lines)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        output = Path(name) / "model.pt"
        train(options, TARGETS[task], data, output, changes=changes)
        checkpoint = torch.load(output.with_suffix(".ckpt"), weights_only=False)
    end = time.perf_counter()
    logging.root.removeHandler(lines)
    epochs, solves = lines.times("Epoch:"), lines.times("Validation error of")
    solve = f"{solves[-1] - epochs[-1]:.1f}"
    errors = [
        " ".join(f"{v:.6g}" for k, v in results.items() if "RMSE" in k)
        for results in (
            checkpoint["trainer_start"]["best_results"],
            checkpoint["best_results"],
        )
    ]
    [*_, last] = [line for _, line in lines.lines if line.startswith("Epoch:")]
    loss = last.partition("validation loss: ")[2].split()[0]
    epoch = (epochs[-1] - epochs[0]) / 10
    return f"{epoch:.3f} | {solve} | {end - start:.1f} | {' | '.join(errors)} | {loss}"


def trainings(device: str, folder: Path) -> None:
    """Print the table of trainings."""
    print(
        "\n| task | where | s / epoch | s / solve | s | first RMSE | exported RMSE "
        "| last loss |"
    )
    print(f"|{'---|' * 8}")
    folders = write_data(folder)
    process = {
        "SLURM_JOB_NODELIST": "localhost",
        "SLURM_NTASKS": "1",
        "SLURM_PROCID": "0",
        "SLURM_LOCALID": "0",
    }
    distributed = ["architecture.training.distributed=true"]
    runs = [
        ("cpu", 64),
        (device, 64),
        ("cpu", 32),
        (device, 32),
        (f"{device}, NCCL", 64),
    ]
    for task, data in folders.items():
        for where, precision in runs:
            of_group = distributed if "NCCL" in where else []
            if of_group and not (is_cuda(device) and "dipole" in task):
                continue
            os.environ.update(process if of_group else {})
            where_alone = where.split(",")[0]
            cells = train_once(task, data, where_alone, precision, *of_group)
            print(f"| {task} | {where}, float{precision} | {cells} |", flush=True)


def main() -> None:
    """Run the parts and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    sides = [3, 6, 12, 18, 24, 36, 48, 60]
    parser.add_argument("--sizes", type=int, nargs="+", default=sides)
    parts = ["simulations", "trainings"]
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.basicConfig()
    logging.root.handlers[0].setLevel(logging.WARNING)
    device = arguments.device
    print(device_name(device))
    with tempfile.TemporaryDirectory() as name:
        if "simulations" in arguments.parts:
            simulations(device, arguments.sizes, Path(name))
        if "trainings" in arguments.parts:
            trainings(device, Path(name))


if __name__ == "__main__":
    main()
