"""Structures of a data set with the inputs of a model."""

from typing import Any, List

from metatomic.torch import System
from metatrain.utils.system_data import get_system_data_transform


def structure_with_inputs(sample: Any, names: List[str]) -> System:
    """The structure of a sample, to which metatrain's ``extra_data`` are added.

    :param sample: of metatrain's data set.
    :param names: the extra data to add, if the sample has them.
    """
    given = {name: sample[name] for name in names if name in sample._fields}
    return get_system_data_transform(names)([sample["system"]], {}, given)[0][0]
