r"""Intensive targets: means over the atoms of a structure, or sums per volume.

The model, its baseline and the equations of its last weights know sums over atoms only.
So targets are multiplied with the size :math:`S` of their structure when they are read,

.. math::
    S \, y = \sum_i y_i, \qquad S = N \text{ or } V,

with the number of atoms or the volume, and predictions are divided by it at the very
end. The loss compares values per atom, as for all targets of structures: those of means
are what was given, those per volume are multiplied with the volume per atom.
"""

from typing import Any, Dict, List

import torch
from metatensor.torch import TensorBlock, TensorMap
from metatomic.torch import ModelOutput, System
from metatrain.utils.data import TargetInfo

from .ensembles import auxiliary_name
from .sources import Datasets


def check_intensive(name: str, info: TargetInfo) -> None:
    """Refuse intensive targets that are not of structures, or have gradients.

    :param name: name of the target.
    :param info: the target.
    :raises ValueError: saying what to change.
    """
    where = f"target '{name}' of 'model.intensive'"
    if info.sample_kind != "system":
        raise ValueError(
            f"{where} is one of every {info.sample_kind}, and only values of whole "
            "structures ('sample_kind: system') can be intensive: take it out of that "
            "option"
        )
    if len(info.gradients) > 0:
        raise ValueError(
            f"{where} has forces or stress, which are derivatives of the sum over "
            "atoms: take it out of that option, or set 'forces: false' and 'stress: "
            "false'"
        )


def has_volume(system: System) -> bool:
    """Whether a structure is periodic in all three directions."""
    return bool(system.pbc.all()) and float(torch.det(system.cell)) != 0.0


def sizes(name: str, kind: str, systems: List[System]) -> torch.Tensor:
    """What sums over atoms are divided by: numbers of atoms, or volumes.

    :param name: name of the target, for the error message.
    :param kind: ``mean`` or ``volume``.
    :param systems: structures.
    :return: in float64, ``(structures,)``
    :raises ValueError: for the volume of structures that have none.
    """
    values: List[torch.Tensor] = []
    for i, system in enumerate(systems):
        if kind == "mean":
            values.append(torch.tensor(len(system), device=system.device))
        elif has_volume(system):
            values.append(torch.det(system.cell).abs())
        else:
            raise ValueError(
                f"'{name}' is a property per volume ('model.intensive'), and structure "
                f"{i} of those given has none: it must be periodic in all three "
                "directions"
            )
    return torch.stack(values).to(torch.float64)


def scaled(tensor: TensorMap, factors: torch.Tensor) -> TensorMap:
    """Multiply all samples of a target with factors of their own.

    :param tensor: the target, with the same samples in all blocks.
    :param factors: ``(samples,)``
    """
    blocks: List[TensorBlock] = []
    for block in tensor.blocks():
        of_samples = factors.to(block.values.dtype)
        while of_samples.dim() < block.values.dim():
            of_samples = of_samples.unsqueeze(-1)
        values = block.values * of_samples
        blocks.append(
            TensorBlock(values, block.samples, block.components, block.properties)
        )
    return TensorMap(tensor.keys, blocks)


class Intensive(torch.nn.Module):
    """Turns sums over atoms into intensive targets.

    :param kinds: the option ``intensive``.
    """

    kinds: Dict[str, str]  # of targets and their last-layer features

    def __init__(self, kinds: Dict[str, str]) -> None:
        super().__init__()
        self.kinds = {}
        for name, kind in kinds.items():
            self.kinds[name] = kind
            # as of the target, which is linear in them
            self.kinds[auxiliary_name(name, "last_layer_features")] = kind

    def forward(
        self,
        predictions: Dict[str, TensorMap],
        systems: List[System],
        outputs: Dict[str, ModelOutput],
    ) -> Dict[str, TensorMap]:
        """Divide the contributions of atoms, which are summed afterwards.

        What is requested for every atom are, for a mean, the values of which it is the
        mean; per volume, contributions to the sum.

        :param predictions: predictions, with atoms as samples.
        :param systems: structures.
        :param outputs: the requested outputs.
        :raises ValueError: as :func:`sizes`, and for the mean over some atoms of a
            structure only.
        """
        for name, kind in self.kinds.items():
            if name in predictions:
                samples = predictions[name].block(0).samples
                if kind == "mean":
                    if outputs[name].sample_kind != "system":
                        continue
                    check_all_atoms(name, len(samples), systems)
                system = samples.column("system").to(torch.int64)
                factors = 1.0 / sizes(name, kind, systems).index_select(0, system)
                predictions[name] = scaled(predictions[name], factors)
        return predictions

    @torch.jit.unused
    def from_values_per_atom(
        self, tensors: Dict[str, TensorMap], systems: List[System]
    ) -> Dict[str, TensorMap]:
        """Values as given, from those that the loss compares.

        :param tensors: sums over the atoms of structures, divided by their number.
        :param systems: the structures.
        """
        result = dict(tensors)
        for name, kind in self.kinds.items():
            if name in tensors:
                factors = sizes(name, "mean", systems) / sizes(name, kind, systems)
                result[name] = scaled(tensors[name], factors)
        return result


def check_all_atoms(name: str, number: int, systems: List[System]) -> None:
    """Refuse means over selected atoms, such as those of one process of an engine."""
    total = 0
    for system in systems:
        total += len(system)
    if number != total:
        raise ValueError(
            f"'{name}' is a mean over the atoms of a structure ('model.intensive'), "
            f"and {number} of {total} atoms are selected: request it with "
            "'sample_kind: atom', and take the mean of these values"
        )


class _Sums(torch.utils.data.Dataset):
    """A data set in which intensive targets are multiplied with the size."""

    def __init__(self, dataset: Any, kinds: Dict[str, str]) -> None:
        self.dataset = dataset
        self.kinds = kinds

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, i: int) -> Any:
        if i >= len(self):  # iteration stops here
            raise IndexError(i)
        sample = self.dataset[i]
        sums = {
            name: scaled(sample[name], sizes(name, kind, [sample["system"]]))
            for name, kind in self.kinds.items()
            if name in sample._fields
        }
        return sample._replace(**sums)


def sums_over_atoms(datasets: Datasets, kinds: Dict[str, str]) -> Datasets:
    """Data in which all targets of structures are sums over their atoms.

    :param datasets: data as read.
    :param kinds: the option ``intensive``.
    """
    if len(kinds) == 0:
        return datasets
    return [_Sums(dataset, kinds) for dataset in datasets]
