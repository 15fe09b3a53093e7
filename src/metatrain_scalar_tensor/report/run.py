"""What the output folder of ``mtt train`` has."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from metatomic.torch import AtomisticModel
from metatrain.utils.data import Dataset, TargetInfo, get_dataset, load_indices
from metatrain.utils.io import load_model
from metatrain.utils.omegaconf import expand_dataset_config
from metatrain.utils.pydantic import validate_eval_options
from omegaconf import OmegaConf
from torch.utils.data import Subset


class ReportError(ValueError):
    """What the user has to know to get the report."""


@dataclass
class DataPart:
    """Structures with references from one file or folder."""

    dataset: Dataset
    targets: Dict[str, TargetInfo]
    length_unit: str


@dataclass
class Data:
    """What the model is compared with."""

    description: str
    parts: List[DataPart]


class Run:
    """A folder that ``mtt train`` wrote.

    :param folder: the folder, ``outputs/YYYY-MM-DD/HH-MM-SS``.
    :raises ReportError: if it is none.
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
        self.options = _load(path)

    @cached_property
    def log(self) -> str:
        """The text of ``train.log``, empty if there is none."""
        path = self.folder / "train.log"
        return path.read_text(errors="replace") if path.is_file() else ""

    @property
    def history(self) -> Optional[Path]:
        """The table of losses and errors of every epoch, if there is one."""
        path = self.folder / "train.csv"
        return path if path.is_file() and path.stat().st_size > 0 else None

    @cached_property
    def model_file(self) -> Path:
        """The trained model: the final one or, of a training that goes on, the newest.

        :raises ReportError: if there is none.
        """
        final = [
            Path(path)
            for kind in ("Final checkpoint", "Exported model")
            for path in re.findall(rf"{kind}: (.+)", self.log)
        ]
        # the copy in the folder first: another training may have replaced the original
        candidates = [self.folder / path.name for path in final] + final
        if not final:  # the log is lost, or the training has not ended
            candidates += [
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
            f"the model of '{self.folder}' is not there: looked for "
            f"{looked_for or 'files *.ckpt and *.pt in it'}"
        )

    @property
    def has_newer_model(self) -> bool:
        """Whether the model lies elsewhere, and changed after this training."""
        if self.model_file.parent == self.folder:
            return False
        end = (self.folder / "train.log").stat().st_mtime
        return self.model_file.stat().st_mtime > end + 1.0

    def load_model(self) -> AtomisticModel:
        """The model of ``model_file``, as it is when exported."""
        extensions = re.findall(r"Extensions path: (.+)", self.log)
        model = load_model(self.model_file, extensions[-1] if extensions else None)
        return model.export() if self.model_file.suffix == ".ckpt" else model

    @cached_property
    def best_epoch(self) -> Optional[int]:
        """The epoch whose weights the model has; ``None`` if the log doesn't say."""
        epochs = re.findall(r"best model from epoch (\d+)", self.log)
        return int(epochs[-1]) if epochs else None

    @property
    def num_training_structures(self) -> int:
        """How many structures the model was trained on.

        :raises ReportError: if they must be counted in data that are not there.
        """
        return sum(len(part.dataset) for part in self._parts("training"))

    def held_out_data(self) -> Data:
        """The test set or, if the run has none, the validation set.

        :raises ReportError: if data are not there.
        """
        for name in ("test", "validation"):
            parts = self._parts(name)
            size = sum(len(part.dataset) for part in parts)
            if size > 0:
                return Data(f"{name.capitalize()} set: {size} structures", parts)
        raise ReportError(
            f"'{self.folder}' has neither test nor validation structures: give data "
            "with --data OPTIONS.yaml"
        )

    def _parts(self, name: str) -> List[DataPart]:
        """The training, validation or test set, one part for every training set."""
        own = self.options[f"{name}_set"]
        is_fraction = isinstance(own, (int, float))
        is_borrowed = is_fraction or (isinstance(own, dict) and "systems" not in own)
        configurations = self.options["training_set"] if is_borrowed else own
        parts = []
        for i, configuration in enumerate(configurations):
            suffix = f"_{i}" if len(configurations) > 1 else ""
            saved = self.folder.absolute() / "indices" / f"{name}{suffix}.txt"
            if is_fraction or saved.is_file():
                indices = str(saved)
            else:
                indices = (own if is_borrowed else configuration).get("indices")
            if isinstance(indices, str):
                indices = _find(indices, self._data_folders, self.folder)
            options = _with_found_files(configuration, self._data_folders, self.folder)
            first = None
            if isinstance(self.options["validation_set"], list) and saved.is_file():
                if is_fraction or name == "training":
                    # metatrain then counts in what the training set's 'indices' leave
                    first = options.get("indices")
            parts.append(_read(options, first, indices))
        return parts

    @cached_property
    def _data_folders(self) -> List[Path]:
        """Where relative paths of the options may begin."""
        logged = re.findall(r"Working directory: (.+)", self.log)
        folders = [Path(path) for path in logged[:1]]
        folders += list(self.folder.absolute().parents[2:3])  # of outputs/date/time
        return list(dict.fromkeys([*folders, Path.cwd()]))


def read_data(path: Path) -> Data:
    """The data of an options file of ``mtt eval``.

    :param path: the file, with ``targets``.
    :raises ReportError: if it is not there, or data are not.
    """
    if not path.is_file():
        raise ReportError(f"there is no file '{path}'")
    configurations = expand_dataset_config(
        OmegaConf.create(validate_eval_options(_load(path)))
    )
    parts = []
    for configuration in map(_plain, configurations):
        if "targets" not in configuration:
            raise ReportError(f"'{path}' has no 'targets' to compare with")
        found = _with_found_files(configuration, [Path.cwd()], path)
        parts.append(_read(found, found.get("indices")))
    size = sum(len(part.dataset) for part in parts)
    files = ", ".join(options["systems"]["read_from"] for options in configurations)
    return Data(f"{size} structures of {files}", parts)


def _load(path: Path) -> Dict[str, Any]:
    """The options in a file."""
    return _plain(OmegaConf.load(path))


def _plain(options: Any) -> Any:
    """Options as dictionaries and lists."""
    return OmegaConf.to_container(options, resolve=True)


def _read(configuration: Dict[str, Any], *selections: Any) -> DataPart:
    """The structures that are left after selections by indices, one after the other."""
    dataset, targets, _ = get_dataset(OmegaConf.create(configuration))
    for indices in selections:
        if indices is not None:
            dataset = Subset(dataset, load_indices(indices))
    return DataPart(dataset, targets, configuration["systems"]["length_unit"])


def _with_found_files(options: Any, folders: List[Path], where: Path) -> Any:
    """The options with absolute paths in place of all that they read."""
    if isinstance(options, list):
        return [_with_found_files(option, folders, where) for option in options]
    if not isinstance(options, dict):
        return options
    return {
        key: _find(value, folders, where)
        if key in ("read_from", "indices") and isinstance(value, str)
        else _with_found_files(value, folders, where)
        for key, value in options.items()
    }


def _find(name: str, folders: List[Path], where: Path) -> str:
    """The absolute path of a file or folder that options name."""
    candidates = [folder / name for folder in folders]
    for path in candidates:
        if path.exists():
            return str(path)
    looked_for = " nor ".join(f"'{path}'" for path in dict.fromkeys(candidates))
    raise ReportError(
        f"the data '{name}' of '{where}' are not there: there is no {looked_for}. Put "
        "them back, or give data with --data OPTIONS.yaml"
    )


def newest_run(folder: Path) -> Path:
    """The newest output folder of ``mtt train``.

    :param folder: where ``mtt train`` was started.
    :raises ReportError: if there is none.
    """
    runs = sorted(
        (path.parent for path in folder.glob("outputs/*/*/options_restart.yaml")),
        key=_started,
    )
    if not runs:
        raise ReportError(
            "there is no output folder of 'mtt train' here, outputs/YYYY-MM-DD/HH-MM-SS"
            ": give one"
        )
    return runs[-1]


def _started(folder: Path) -> Tuple[str, str]:
    """Date and time in the name of an output folder."""
    return folder.parent.name, folder.name
