"""Writes the whole report of one or more trainings."""

import os
from pathlib import Path
from typing import List, Optional

from .data import ReportError, read_data
from .errors import as_text, error_table, outliers
from .evaluation import evaluate
from .overview import write_overview
from .run import Run, newest_run


INSTALL = "pip install 'metatrain-scalar-tensor[report]'"


def write_reports(
    runs: List[Path],
    output: Optional[Path],
    data: Optional[Path],
    quiet: bool = False,
) -> None:
    """Print the errors of trainings and write all pictures.

    :param runs: output folders of ``mtt train``; the newest one if empty.
    :param output: folder to write into; ``None`` for ``report`` in every run.
    :param data: options file of ``mtt eval``, for other data than those of the run.
    :param quiet: whether to show no progress bars.
    :raises ReportError: if something is missing.
    """
    try:
        from .plots import plot_learning_curve
    except ImportError as error:
        raise ReportError(f"the pictures need matplotlib: {INSTALL}") from error

    given = list(dict.fromkeys(runs)) or [newest_run(Path())]
    opened = [Run(folder) for folder in given]
    reports = [
        _Report(run, _folder_of(run.folder, given, output), data, quiet)
        for run in opened
    ]
    if len(reports) > 1:
        results = [(r.run.num_training_structures, r.table) for r in reports]
        for r in reports:
            plot_learning_curve(results, r.title, r.new_file("learning-curve.png"))
    print("\nWritten:")
    for r in reports:
        page = write_overview(
            r.title, r.run.folder, r.table, r.worst, r.files, r.folder
        )
        for path in [page, *r.files]:
            print(f"  {path}")


class _Report:
    """Errors and pictures of one training.

    :param run: the training.
    :param folder: where the pictures go.
    :param data: options file of other data than those of the run, or ``None``.
    :param quiet: whether to show no progress bar.
    """

    def __init__(
        self, run: Run, folder: Path, data: Optional[Path], quiet: bool
    ) -> None:
        from .plots import plot_parity, plot_training

        self.run = run
        self.folder = folder
        self.files: List[Path] = []
        folder.mkdir(parents=True, exist_ok=True)
        history = run.history
        compared = run.held_out_data() if data is None else read_data(data)
        self.title = compared.description
        evaluation = evaluate(run.load_model(), compared, quiet)
        self.table = error_table(evaluation)
        self.worst = outliers(evaluation, self.table)
        print(f"\n{run.folder}, model {run.model_file.name}\n{self.title}")
        print(as_text(self.table))

        if run.has_newer_model:
            print(
                f"Beware: '{run.model_file}' changed after this training; it may be "
                "the model of another one"
            )
        if history is not None:
            plot_training(history, run.best_epoch, self.new_file("training.png"))
        else:
            print(
                f"No picture of the training: '{run.folder}' has no train.csv, or one "
                "without epochs"
            )
        plot_parity(evaluation, self.table, self.title, self.new_file("parity.png"))
        try:
            from .structures import write_structures
        except ModuleNotFoundError:
            print(f"No page of the structures: it needs chemiscope, {INSTALL}")
        else:
            linked = [outlier.structure for outlier in self.worst]
            self.files += write_structures(evaluation, self.title, linked, folder)

    def new_file(self, name: str) -> Path:
        """The path of a file that is about to be written."""
        self.files.append(self.folder / name)
        return self.files[-1]


def _folder_of(run: Path, runs: List[Path], output: Optional[Path]) -> Path:
    """Where the report of a run goes."""
    if output is None:
        return run / "report"
    if len(runs) == 1:
        return output
    absolute = [path.absolute() for path in runs]
    return output / run.absolute().relative_to(os.path.commonpath(absolute))
