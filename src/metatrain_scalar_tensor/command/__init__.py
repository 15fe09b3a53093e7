"""The command ``scalar-tensor``."""

import argparse
import sys
import warnings
from pathlib import Path
from typing import List, Optional

from ..report.write import write_reports
from .collect import collect
from .convert import ORDERS, convert
from .export import export_outputs
from .spectra import write_spectra


def _add_quiet(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--quiet",
        action="store_true",
        help="no progress bars, which only terminals show",
    )


def _add_report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "runs",
        nargs="*",
        type=Path,
        metavar="RUN",
        help="folder that 'mtt train' wrote, outputs/YYYY-MM-DD/HH-MM-SS; the newest "
        "one if none is given. Several give a learning curve, too",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FOLDER",
        help="folder for the report; with several runs, it gets a folder for each",
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="OPTIONS.yaml",
        help="evaluate on other data than the run's: options of 'mtt eval', with "
        "targets",
    )
    _add_quiet(parser)
    parser.set_defaults(run=lambda o: write_reports(o.runs, o.output, o.data, o.quiet))


def _add_collect(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", type=Path, nargs="+", metavar="OUTPUT")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.xyz")
    _add_quiet(parser)
    parser.set_defaults(run=lambda o: collect(o.files, o.output, o.quiet))


def _add_convert(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="DATA.xyz")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.xyz")
    parser.add_argument(
        "--tensor",
        required=True,
        nargs="+",
        metavar="KEY",
        help="keys of the tensors, of structures or of atoms",
    )
    parser.add_argument(
        "--order",
        required=True,
        choices=list(ORDERS),
        help="; ".join(f"{name}: {' '.join(order)}" for name, order in ORDERS.items()),
    )
    parser.set_defaults(run=lambda o: convert(o.file, o.output, o.tensor, o.order))


def _add_export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", type=Path, metavar="MODEL.ckpt")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.pt")
    parser.add_argument("--outputs", required=True, nargs="+", metavar="TARGET")
    parser.set_defaults(run=lambda o: export_outputs(o.checkpoint, o.output, o.outputs))


def _add_spectra(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("trajectory", type=Path, help="file that ASE reads")
    parser.add_argument("--model", type=Path, required=True, metavar="MODEL.pt")
    parser.add_argument("--dipole", metavar="OUTPUT", help="for the infrared spectrum")
    parser.add_argument(
        "--polarizability",
        nargs="+",
        metavar="OUTPUT",
        help="for the Raman spectrum; several outputs are the irreps",
    )
    parser.add_argument(
        "--timestep",
        type=float,
        required=True,
        metavar="FS",
        help="of the dynamics, by velocity Verlet, whose error in the frequencies is "
        "corrected",
    )
    parser.add_argument(
        "--stride",
        type=int,
        default=1,
        metavar="STEPS",
        help="steps between two structures of the file, 1 by default",
    )
    parser.add_argument("--temperature", type=float, required=True, metavar="K")
    parser.add_argument(
        "--resolution",
        type=float,
        metavar="1/CM",
        help="mean over parts of the trajectory that are long enough for this "
        "resolution; without, the whole is one part",
    )
    parser.add_argument(
        "--laser", type=float, default=532.0, metavar="NM", help="532 by default"
    )
    parser.add_argument(
        "--atoms-per-molecule",
        type=int,
        metavar="NUMBER",
        help="for equal molecules that do not feel each other: mean of their spectra, "
        "instead of the spectrum of all atoms",
    )
    parser.add_argument("-o", "--output", type=Path, default=Path("spectra.csv"))
    _add_quiet(parser)
    parser.set_defaults(run=_run_spectra)


def _run_spectra(options: argparse.Namespace) -> None:
    settings = dict(vars(options))
    settings.pop("run")
    write_spectra(**settings)


def main(arguments: Optional[List[str]] = None) -> None:
    """Run the command.

    :param arguments: command-line arguments; ``None`` for those of the process.
    """
    parser = argparse.ArgumentParser(prog="scalar-tensor", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    _add_report(
        commands.add_parser(
            "report",
            help="errors and plots of training runs",
            description="Writes errors and plots of training runs, for their test sets "
            "or, without one, for their validation sets. They go to RUN/report: open "
            "index.html in it.",
        )
    )
    _add_collect(
        commands.add_parser(
            "collect",
            help="data from the output files of electronic-structure programs",
            description="Writes an extxyz file with the last structure of every output "
            "file of ORCA, Gaussian, CP2K, FHI-aims, VASP (vasprun.xml) or magres, and "
            "its energy, forces, dipole, polarizability, Born charges and shieldings.",
        )
    )
    _add_convert(
        commands.add_parser(
            "convert",
            help="nine numbers from six, for symmetric tensors",
            description="Writes an extxyz file in which symmetric tensors have all "
            "their numbers, as metatrain reads them: 9 instead of 6, 27 instead of 18 "
            "(piezoelectric, 3 x 6), 81 instead of 36 (elastic, 6 x 6).",
        )
    )
    _add_export(
        commands.add_parser(
            "export",
            help="a model with some of its targets",
            description="Exports a model with some of its targets only. It reaches no "
            "further than these need: energies one cutoff, tensors two.",
        )
    )
    _add_spectra(
        commands.add_parser(
            "spectra",
            help="infrared and Raman spectra of a trajectory",
            description="Evaluates dipole and polarizability along a trajectory, and "
            "writes the spectra as a table and a picture.",
        )
    )
    options = parser.parse_args(arguments)
    warnings.filterwarnings("ignore", "`torch.jit")  # the format of exported models
    try:
        options.run(options)
    except (ValueError, OSError, ImportError) as error:
        sys.exit(f"scalar-tensor: {error}")
