"""Where structures and targets were read from, for messages."""

from pathlib import Path
from typing import Any, Dict, List, Literal, Optional, Union

import torch
from metatrain.utils.data import Dataset
from omegaconf import OmegaConf


Datasets = List[Union[Dataset, torch.utils.data.Subset]]
Part = Literal["training", "validation"]


class Sources:
    """The files of the data sets.

    metatrain gives a trainer structures without files, but writes its expanded options
    beside the checkpoints.

    :param checkpoint_dir: where it does.
    """

    def __init__(self, checkpoint_dir: Union[str, Path]) -> None:
        path = Path(checkpoint_dir) / "options_restart.yaml"
        self.options: Dict[str, Any] = {}
        if path.is_file():
            self.options = OmegaConf.to_container(OmegaConf.load(path))  # type: ignore

    def options_of(self, part: Part, number: int) -> Dict[str, Any]:
        """The options of one data set, empty if they are not known.

        :param part: training or validation.
        :param number: number of the data set.
        """
        own = self.options.get(f"{part}_set", [])
        if not isinstance(own, list):  # a fraction or numbers of the training set
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
        """Say which structure it is.

        :param part: training or validation.
        :param number: number of the data set.
        :param dataset: the data set.
        :param i: number of the structure in it.
        :param target: a target that the message is about, which may have a file of its
            own.
        :return: ``structure 3 of 'water.xyz' (validation set)``, counted from 0 in the
            file.
        """
        while isinstance(dataset, torch.utils.data.Subset):
            dataset, i = dataset.dataset, dataset.indices[i]
        options = self.options_of(part, number)
        file = options.get("systems", {}).get("read_from")
        if target is not None:
            file = options.get("targets", {}).get(target, {}).get("read_from", file)
        of_file = "" if file is None else f" of '{file}'"
        return f"structure {i}{of_file} ({part} set)"
