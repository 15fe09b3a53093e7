"""The output folder of ``mtt train``, and what can be learned from it."""

import re
from functools import cached_property
from pathlib import Path
from typing import List, Optional

from metatomic.torch import AtomisticModel
from metatrain.utils.io import load_model

from .data import (
    Data,
    DataPart,
    ReportError,
    count,
    find,
    load_options,
    read_part,
    with_found_files,
)
from .history import History, read_history


class Run:
    """A folder that ``mtt train`` wrote.

    :param folder: the folder, ``outputs/YYYY-MM-DD/HH-MM-SS``.
    :raises ReportError: if it is not such a folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = folder / "options_restart.yaml"
        if not path.is_file():
            raise ReportError(
                f"'{folder}' is not the output folder of a training: it has no "
                "'options_restart.yaml'. 'mtt train' writes such folders as "
                "outputs/YYYY-MM-DD/HH-MM-SS"
            )
        self.options = load_options(path)

    @property
    def history(self) -> Optional[History]:
        """Losses and errors of every epoch, if they were recorded."""
        return read_history(self.folder / "train.csv")

    def _logged(self, pattern: str) -> List[str]:
        """Everything in ``train.log`` that matches; nothing if there is no log.

        Only the log has the paths of the model, the working directory and the epoch
        that the exported weights are from. All numbers come from ``train.csv``.
        """
        path = self.folder / "train.log"
        text = (
            path.read_text(encoding="utf8", errors="replace") if path.is_file() else ""
        )
        return re.findall(pattern, text)

    @cached_property
    def model_file(self) -> Path:
        """The final model or, while the training is unfinished, the newest checkpoint.

        :raises ReportError: if there is none.
        """
        final = [Path(path) for path in self._logged(r"Final checkpoint: (.+)")]
        final += [Path(path) for path in self._logged(r"Exported model: (.+)")]
        # First the copy in the folder: a later training may have replaced the original
        candidates = [self.folder / path.name for path in final] + final
        if not final:  # the log is lost, or the training unfinished
            candidates = [
                path
                for path in self.folder.glob("*.ckpt")
                if path.name not in ("scaler.ckpt", "composition_model.ckpt")
            ]
            candidates.sort(key=lambda path: path.stat().st_mtime, reverse=True)
            candidates += self.folder.glob("*.pt")
        for path in candidates:
            if path.is_file():
                return path
        looked_for = " or ".join(f"'{path}'" for path in dict.fromkeys(candidates))
        raise ReportError(
            f"the model of '{self.folder}' is missing: looked for "
            f"{looked_for or 'files *.ckpt and *.pt in this folder'}"
        )

    @property
    def has_newer_model(self) -> bool:
        """Whether the model lies elsewhere and changed after this training."""
        if self.model_file.parent == self.folder:
            return False
        end = (self.folder / "train.log").stat().st_mtime
        return self.model_file.stat().st_mtime > end + 1.0

    def load_model(self) -> AtomisticModel:
        """Load the model in its exported form."""
        extensions = self._logged(r"Extensions path: (.+)")
        model = load_model(self.model_file, extensions[-1] if extensions else None)
        return model.export() if self.model_file.suffix == ".ckpt" else model

    @property
    def best_epoch(self) -> Optional[int]:
        """The epoch that the model's weights are from; ``None`` if it is not known."""
        epochs = self._logged(r"best model from epoch (\d+)")
        return int(epochs[-1]) if epochs else None

    @property
    def num_training_structures(self) -> int:
        """The number of structures that the model was trained on.

        :raises ReportError: if they have to be counted in data that are missing.
        """
        return count(self._parts("training"))

    def held_out_data(self) -> Data:
        """The test set or, without one, the validation set.

        :raises ReportError: if data are missing.
        """
        for name in ("test", "validation"):
            parts = self._parts(name)
            if count(parts) > 0:
                return Data(
                    f"{name.capitalize()} set: {count(parts)} structures", parts
                )
        raise ReportError(
            f"'{self.folder}' has neither test nor validation structures: name other "
            "data with --data OPTIONS.yaml"
        )

    def _parts(self, name: str) -> List[DataPart]:
        """The training, validation or test set, with a part for each of its files."""
        own = self.options[f"{name}_set"]
        is_fraction = isinstance(own, (int, float))
        has_files = isinstance(own, list)  # not only indices of the training set
        configurations = own if has_files else self.options["training_set"]
        parts = []
        for i, configuration in enumerate(configurations):
            suffix = f"_{i}" if len(configurations) > 1 else ""
            saved = self.folder.absolute() / "indices" / f"{name}{suffix}.txt"
            if is_fraction or saved.is_file():
                indices = str(saved)
            else:
                indices = (configuration if has_files else own).get("indices")
            if isinstance(indices, str):
                indices = find(indices, self._data_folders, self.folder)
            options = with_found_files(configuration, self._data_folders, self.folder)
            # If the validation set has its own files, metatrain splits what the
            # training set's 'indices' select, and counts from there
            is_nested = isinstance(self.options["validation_set"], list) and (
                is_fraction or name == "training"
            )
            first = options.get("indices") if is_nested and saved.is_file() else None
            parts.append(read_part(options, first, indices))
        return parts

    @cached_property
    def _data_folders(self) -> List[Path]:
        """Where relative paths in the options may start."""
        logged = [Path(path) for path in self._logged(r"Working directory: (.+)")[:1]]
        above = self.folder.absolute().parents[2:3]  # of outputs/date/time
        return list(dict.fromkeys([*logged, *above, Path.cwd()]))


def newest_run(folder: Path) -> Path:
    """The newest output folder of ``mtt train``.

    :param folder: where ``mtt train`` was started.
    :raises ReportError: if there is none.
    """
    runs = sorted(folder.glob("outputs/*/*/options_restart.yaml"))  # by date and time
    if not runs:
        raise ReportError(
            "there is no output folder of 'mtt train' here, such as "
            "outputs/YYYY-MM-DD/HH-MM-SS: name one"
        )
    return runs[-1].parent
