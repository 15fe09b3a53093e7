"""The files of structures and targets, for messages."""

from pathlib import Path
from typing import Any, Dict, List, Literal, Optional, Union

import torch
from omegaconf import OmegaConf


# metatrain's Dataset or torch's Subset of one, which mypy can't iterate over
Datasets = List[Any]
Part = Literal["training", "validation"]


class Sources:
    """The files of the data sets.

    metatrain does not pass file names to a trainer, but writes its expanded options
    beside the checkpoints.

    :param checkpoint_dir: the folder of the checkpoints.
    """

    def __init__(self, checkpoint_dir: Union[str, Path]) -> None:
        path = Path(checkpoint_dir) / "options_restart.yaml"
        self.options: Dict[str, Any] = {}
        if path.is_file():
            self.options = OmegaConf.to_container(OmegaConf.load(path))  # type: ignore

    def options_of(self, part: Part, number: int) -> Dict[str, Any]:
        """The options of one data set, given by its number; empty if not known."""
        own = self.options.get(f"{part}_set", [])
        if not isinstance(own, list):  # a fraction or indices of the training set
            own = self.options["training_set"]
        return own[number] if number < len(own) else {}

    def structure(
        self,
        part: Part,
        number: int,
        dataset: Any,
        i: int,
        target: Optional[str] = None,
    ) -> str:
        """Describe a structure: ``structure 3 of 'water.xyz' (validation set)``.

        Structures are counted from 0 in the file.

        :param part: training or validation.
        :param number: number of the data set.
        :param dataset: the data set.
        :param i: number of the structure in the data set.
        :param target: the target of the message, which may have its own file.
        """
        while isinstance(dataset, torch.utils.data.Subset):
            dataset, i = dataset.dataset, dataset.indices[i]
        options = self.options_of(part, number)
        file = options.get("systems", {}).get("read_from")
        if target is not None:
            file = options.get("targets", {}).get(target, {}).get("read_from", file)
        of_file = "" if file is None else f" of '{file}'"
        return f"structure {i}{of_file} ({part} set)"
