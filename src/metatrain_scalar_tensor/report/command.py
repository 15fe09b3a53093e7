"""The command ``scalar-tensor``."""

import argparse
import sys
import warnings
from pathlib import Path
from typing import List, Optional

from .run import ReportError
from .write import write_reports


def main(arguments: Optional[List[str]] = None) -> None:
    """Run the command.

    :param arguments: command line; ``None`` for that of the process.
    """
    parser = argparse.ArgumentParser(prog="scalar-tensor", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    report_parser = commands.add_parser(
        "report",
        help="errors and pictures of trainings",
        description="Errors and pictures of trainings, of their test sets or, without "
        "one, of their validation sets. They go to RUN/report: open index.html in it.",
    )
    report_parser.add_argument(
        "runs",
        nargs="*",
        type=Path,
        metavar="RUN",
        help="folder that 'mtt train' wrote, outputs/YYYY-MM-DD/HH-MM-SS; the newest "
        "one if none is given. Several give a learning curve, too",
    )
    report_parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FOLDER",
        help="folder for the report, for several runs with a folder in it for each",
    )
    report_parser.add_argument(
        "--data",
        type=Path,
        metavar="OPTIONS.yaml",
        help="other data than those of the run: options of 'mtt eval', with targets",
    )
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")  # of the exported model, about its format
    try:
        write_reports(options.runs, options.output, options.data)
    except ReportError as error:
        sys.exit(f"scalar-tensor: {error}")
