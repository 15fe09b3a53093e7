"""Structures with reference values, from the files that metatrain's options name."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List

from metatrain.utils.data import Dataset, TargetInfo, get_dataset, load_indices
from metatrain.utils.omegaconf import expand_dataset_config
from metatrain.utils.pydantic import validate_eval_options
from omegaconf import OmegaConf
from torch.utils.data import Subset


class ReportError(ValueError):
    """Tells the user why there is no report, and what to do about it."""


@dataclass
class DataPart:
    """Structures with references from one file or folder."""

    dataset: Dataset
    targets: Dict[str, TargetInfo]
    length_unit: str


@dataclass
class Data:
    """The data that a model is compared with."""

    description: str
    parts: List[DataPart]


def count(parts: List[DataPart]) -> int:
    """The number of structures.

    :param parts: the data.
    """
    return sum(len(part.dataset) for part in parts)


def read_data(path: Path) -> Data:
    """Read the data of an options file for ``mtt eval``.

    :param path: the file, which must have ``targets``.
    :raises ReportError: if the file or its data are missing.
    """
    if not path.is_file():
        raise ReportError(f"there is no file '{path}'")
    checked = OmegaConf.create(validate_eval_options(load_options(path)))
    configurations: Any = OmegaConf.to_container(
        expand_dataset_config(checked), resolve=True
    )
    parts = []
    for configuration in configurations:
        if "targets" not in configuration:
            raise ReportError(f"'{path}' has no 'targets' to compare with")
        found = with_found_files(configuration, [Path.cwd()], path)
        parts.append(read_part(found, found.get("indices")))
    files = ", ".join(options["systems"]["read_from"] for options in configurations)
    return Data(f"{count(parts)} structures of {files}", parts)


def load_options(path: Path) -> Dict[str, Any]:
    """Read options into plain dictionaries and lists.

    :param path: a YAML file.
    """
    options: Any = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    return options


def read_part(configuration: Dict[str, Any], *selections: Any) -> DataPart:
    """Read one data set.

    :param configuration: its options, with absolute paths.
    :param selections: indices, or files of them, applied one after the other; ``None``
        selects everything.
    """
    dataset, targets, _ = get_dataset(OmegaConf.create(configuration))
    for indices in selections:
        if indices is not None:
            dataset = Subset(dataset, load_indices(indices))
    return DataPart(dataset, targets, configuration["systems"]["length_unit"])


def with_found_files(options: Any, folders: List[Path], where: Path) -> Any:
    """Make the paths in options absolute.

    :param options: options of data, or any part of them.
    :param folders: where relative paths may start.
    :param where: what to name in an error as the origin of the options.
    :raises ReportError: if a file is missing.
    """
    if isinstance(options, list):
        return [with_found_files(option, folders, where) for option in options]
    if not isinstance(options, dict):
        return options
    return {
        key: find(value, folders, where)
        if key in ("read_from", "indices") and isinstance(value, str)
        else with_found_files(value, folders, where)
        for key, value in options.items()
    }


def find(name: str, folders: List[Path], where: Path) -> str:
    """The absolute path of a file or folder.

    :param name: its path in the options.
    :param folders: where a relative path may start.
    :param where: what to name in an error as the origin of the options.
    :raises ReportError: if it is missing.
    """
    candidates = [folder / name for folder in folders]
    for path in candidates:
        if path.exists():
            return str(path)
    looked_for = " nor ".join(f"'{path}'" for path in dict.fromkeys(candidates))
    raise ReportError(
        f"the data '{name}' of '{where}' are missing: there is no {looked_for}. Put "
        "them back, or name other data with --data OPTIONS.yaml"
    )
