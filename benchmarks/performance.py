"""All of ``docs/performance.md`` that a CPU can measure, by one command.

Every benchmark is a process of its own, one after the other, and what it prints is
written to a file of its name in OUTPUT; those that are there are not repeated. With
``--against`` the numbers of two folders are compared, row by row: ratios of times, and
a picture of them. Needs ``pip install "metatrain[soap-bpnn]" matplotlib``.

::

    python benchmarks/performance.py OUTPUT                  # an hour; leave it alone
    python benchmarks/performance.py OUTPUT --against EARLIER
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, NamedTuple

from tqdm import tqdm


HERE = Path(__file__).parent
ONE_THREAD = {"OMP_NUM_THREADS": "1"}


class Benchmark(NamedTuple):
    """One file of this folder, which prints tables."""

    name: str
    environment: Dict[str, str] = {}
    arguments: List[str] = []


BENCHMARKS = [
    Benchmark("water"),
    Benchmark("scaling"),
    Benchmark("cost", ONE_THREAD),
    Benchmark("training"),
    Benchmark("disk", ONE_THREAD, ["--sizes", "1000", "10000"]),
    Benchmark("dynamics", ONE_THREAD),
    Benchmark("species"),
    Benchmark("products", ONE_THREAD),
]
UNITS = ("ms", "s", "s / epoch", "ms / structure", "kB / atom", "MB")
"""Columns of times and sizes, which should be small"""
NAMES = ("atoms", "cutoff, Å", "elements", "structures")
"""Columns of numbers that tell, besides texts, which row it is"""


def run(benchmark: Benchmark, output: Path) -> None:
    """Write what a benchmark prints."""
    arguments = benchmark.arguments
    if benchmark.name == "water":
        arguments = [*arguments, "--plot", str(output / "water.png")]
    result = subprocess.run(
        [sys.executable, str(HERE / f"{benchmark.name}.py"), *arguments],
        env={**os.environ, **benchmark.environment},
        capture_output=True,
        text=True,
    )
    if result.returncode != 0:
        raise SystemExit(f"{benchmark.name}.py failed:\n{result.stderr}")
    (output / f"{benchmark.name}.md").write_text(result.stdout)


def numbers(text: str) -> Dict[str, float]:
    """The times and sizes in the tables of a text, by row and column."""
    found: Dict[str, float] = {}
    header: List[str] = []
    for line in text.splitlines():
        if not line.startswith("|"):
            header = []
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(header) == 0:
            header = cells
            continue
        row = dict(zip(header, cells, strict=True))
        name = ", ".join(
            f"{column} {cell}" if _is_number(cell) else cell
            for column, cell in row.items()
            if column in NAMES or not _is_number(cell)
        )
        for column, cell in row.items():
            if column.split(", ")[-1] in UNITS and _is_number(cell):
                found[f"{name}: {column}"] = float(cell)
    return found


def _is_number(cell: str) -> bool:
    return cell.replace(".", "", 1).isdigit()


def compare(output: Path, against: Path) -> Dict[str, float]:
    """The ratios of numbers that are in both folders."""
    ratios: Dict[str, float] = {}
    for benchmark in BENCHMARKS:
        paths = [folder / f"{benchmark.name}.md" for folder in (output, against)]
        if all(path.exists() for path in paths):
            new, old = (numbers(path.read_text()) for path in paths)
            for row in new.keys() & old.keys():
                ratios[f"{benchmark.name}: {row}"] = new[row] / old[row]
    return dict(sorted(ratios.items()))


def plot(ratios: Dict[str, float], path: Path) -> None:
    """A bar for every number, of its ratio to the earlier one."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    size = (9.0, 1.0 + 0.16 * len(ratios))
    figure, axis = pyplot.subplots(figsize=size, layout="constrained")
    values = list(ratios.values())[::-1]
    colors = [
        "C3" if value > 1.2 else "C2" if value < 0.8 else "C7" for value in values
    ]
    axis.barh(list(ratios)[::-1], values, color=colors)
    axis.axvline(1.0, color="black", linewidth=0.8)
    axis.tick_params(axis="y", labelsize=6)
    axis.set_xlabel("new / old; red are those that grew by more than a fifth")
    axis.margins(y=0.005)
    figure.savefig(path, dpi=130)


def main() -> None:
    """Run what is missing, and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--against", type=Path, help="folder of an earlier run")
    parser.add_argument("--only", nargs="+", help="names of benchmarks")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    for benchmark in tqdm(BENCHMARKS, disable=None):
        path = arguments.output / f"{benchmark.name}.md"
        is_wanted = arguments.only is None or benchmark.name in arguments.only
        if is_wanted and not path.exists():
            run(benchmark, arguments.output)
    if arguments.against is not None:
        ratios = compare(arguments.output, arguments.against)
        print("| quantity | new / old |")
        print("|---|---|")
        for name, ratio in ratios.items():
            print(f"| {name} | {ratio:.2f} |")
        plot(ratios, arguments.output / "ratios.png")


if __name__ == "__main__":
    main()
