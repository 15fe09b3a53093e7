"""The command ``scalar-tensor``."""

import argparse
import sys
import warnings
from pathlib import Path
from typing import List, Optional

from ..report.write import write_reports
from .convert import ORDERS, convert
from .export import export_outputs


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
    parser.set_defaults(run=lambda o: write_reports(o.runs, o.output, o.data))


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
    _add_convert(
        commands.add_parser(
            "convert",
            help="nine numbers from six, for symmetric tensors",
            description="Writes an extxyz file in which symmetric tensors of rank 2 "
            "have all nine numbers, as metatrain reads them.",
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
    options = parser.parse_args(arguments)
    warnings.filterwarnings("ignore", "`torch.jit")  # the format of exported models
    try:
        options.run(options)
    except (ValueError, OSError) as error:
        sys.exit(f"scalar-tensor: {error}")
