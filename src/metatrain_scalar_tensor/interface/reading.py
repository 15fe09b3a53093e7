"""metatrain's readers of data, with errors that say what to do.

metatrain selects a reader by the file's suffix, from a table that this module changes
when metatrain loads the architecture. The values come from metatrain's own readers; the
difference is in the errors if they are missing or can't be read.
"""

import sys
from pathlib import Path
from typing import Any, Dict, List, Tuple

import numpy as np
from ase import Atoms
from metatensor.torch import TensorMap
from metatomic.torch import System
from metatrain.utils.data.readers import ase as ase_reader
from metatrain.utils.data.readers import metatensor as metatensor_reader
from metatrain.utils.data.readers import readers
from metatrain.utils.data.target_info import TargetInfo, get_generic_target_info
from omegaconf import DictConfig, OmegaConf

from ..programs.symmetric import FULL_SIZES
from ..structures import is_finite
from .names import check_name_and_unit


READER = "explaining"  # ``registration/reader.py``, in metatrain's folder of readers
GRADIENTS = {"forces": "positions", "stress": "strain", "virial": "strain"}
CONVERT = "'scalar-tensor convert' makes nine numbers from six"


def use_this_reader() -> None:
    """Register this reader for all file formats."""
    readers.DEFAULT_READER.update(dict.fromkeys((".xyz", ".extxyz", ".mts"), READER))


def read_systems(filename: str) -> List[System]:
    """Read structures, including test sets, which a trainer does not get.

    :param filename: the file, in a format that ASE knows.
    :raises ValueError: if positions or a cell are not finite.
    """
    systems = ase_reader.read_systems(filename)
    for i, system in enumerate(systems):
        if not is_finite(system):
            raise ValueError(
                f"structure {i} of '{filename}' has NaN or infinite values in its "
                "positions or cell: correct the structure, or take it out of the data"
            )
    return systems


def read_generic(
    target_name: str, target: DictConfig
) -> Tuple[List[TensorMap], TargetInfo]:
    """Read a target of structures or of atoms.

    :param target_name: name of the target.
    :param target: options of the target.
    :return: the target of every structure, and its description.
    :raises ValueError: if it can't be read, with the name of the target, the file, the
        structure, what was found and what is expected.
    """
    return _read("read_generic", target_name, target)


def read_energy(
    target_name: str, target: DictConfig
) -> Tuple[List[TensorMap], TargetInfo]:
    """Read energies with forces, stress or virial.

    Parameters and result are those of :func:`read_generic`.

    :raises ValueError: as :func:`read_generic`, and if gradients are missing although
        some structures have them or the options file asks for them.
    """
    tensors, info = _read("read_energy", target_name, target)
    for kind, gradient in GRADIENTS.items():
        if target[kind] and gradient not in info.gradients:
            _explain_gradient(target_name, kind, target[kind])
    return tensors, info


def _read(
    method: str, name: str, target: DictConfig
) -> Tuple[List[TensorMap], TargetInfo]:
    """Read a target with metatrain's own reader."""
    check_name_and_unit(name, target["unit"])
    file = target["read_from"]
    if Path(file).suffix == ".mts":
        try:
            return getattr(metatensor_reader, method)(name, target)
        except Exception as error:
            raise ValueError(f"target '{name}' of '{file}': {error}") from error
    try:
        return getattr(ase_reader, method)(name, target)
    except Exception:
        _explain_values(name, target)
        raise


def _explain_values(name: str, target: DictConfig) -> None:
    """Raise an error for the first structure whose values have the wrong form."""
    file, key = target["read_from"], target["key"]
    info = get_generic_target_info(name, target)
    shape = info.layout.block().values.shape[1:]
    of_atoms = info.sample_kind == "atom"
    for i, atoms in enumerate(ase_reader.read(file, ":")):
        where = f"target '{name}': structure {i} of '{file}'"
        data = atoms.arrays if of_atoms else atoms.info
        if key not in data:
            raise ValueError(f"{where} has no '{key}'. {_what_there_is(atoms, key)}")
        values = np.asarray(data[key])
        if values.dtype.kind not in "fiub":
            raise ValueError(f"{where} has no numbers under '{key}', but {data[key]!r}")
        expected = int(np.prod(shape))
        number = values.size / len(atoms) if of_atoms else values.size
        if number != expected:
            every = " for every atom" if of_atoms else ""
            hint = ""
            if number == int(number) and FULL_SIZES.get(int(number)) == expected:
                hint = f": 'scalar-tensor convert' makes {expected} of {number:g}"
            raise ValueError(
                f"{where} has {number:g} numbers{every} under '{key}', and "
                f"{_kind(target)} has {expected}{hint}"
            )


def _kind(target: DictConfig) -> str:
    """Description of a target for an error message."""
    kind = target["type"]
    properties = target["num_subtargets"]
    several = f" with 'num_subtargets: {properties}'" if properties > 1 else ""
    if isinstance(kind, DictConfig):
        if "cartesian" in kind:
            return f"a Cartesian tensor of rank {kind['cartesian']['rank']}{several}"
        return f"a spherical tensor {OmegaConf.to_container(kind['spherical'])}"
    return f"a scalar{several}"


def _what_there_is(atoms: Atoms, key: str) -> str:
    """The keys of a structure, and why one may be missing."""
    keys = {"structure": atoms.info, "atoms": atoms.arrays}
    text = ", ".join(f"{what}: {sorted(of)}" for what, of in keys.items())
    if atoms.calc is not None and key in atoms.calc.results:
        text += (
            f". ASE takes '{key}' for the result of a calculator: give it a different "
            "name in the file"
        )
    return f"There are keys of the {text}"


def _explain_gradient(name: str, kind: str, options: DictConfig) -> None:
    """Raise an error if forces, stress or virial should have been found."""
    file, key = options["read_from"], options["key"]
    frames = ase_reader.read(file, ":")
    sources = [atoms.arrays if kind == "forces" else atoms.info for atoms in frames]
    otherwise = f"or set '{kind}: false' to train without"
    numbers = "three for every atom" if kind == "forces" else "nine"
    has_any = any(key in source for source in sources)
    for i, (atoms, source) in enumerate(zip(frames, sources)):
        where = f"{kind} of target '{name}': structure {i} of '{file}'"
        if has_any and key not in source:
            raise ValueError(
                f"{where} has no '{key}', which others have: write NaN ({numbers}) "
                f"where there is none, {otherwise}"
            )
        if has_any:
            values = np.asarray(source[key])
            expected = 3 * len(atoms) if kind == "forces" else 9
            if values.size != expected:
                hint = CONVERT if values.size == 6 else f"{numbers} are needed"
                raise ValueError(
                    f"{where} has {values.size} numbers under '{key}', and {expected} "
                    f"are expected: {hint}, {otherwise}"
                )
            is_known = not np.isnan(values).all()
            if kind == "stress" and is_known and atoms.cell.volume == 0:
                raise ValueError(
                    f"{where} has a stress, and no cell: write nine NaN for it, "
                    f"{otherwise}"
                )
    if has_any or key != kind or is_asked_for(name, kind, file):
        raise ValueError(
            f"{kind} of target '{name}': no structure of '{file}' has a usable "
            f"'{key}'. {_what_there_is(frames[0], key)}: correct the key, {otherwise}"
        )


def is_asked_for(name: str, kind: str, file: str) -> bool:
    """Whether the options file explicitly asks for forces, stress or virial.

    The options that metatrain passes on do not tell: there, energies have forces and
    stress by default.

    :param name: name of the target.
    :param kind: which gradient.
    :param file: the file that it is read from.
    """
    for part in ("training_set", "validation_set", "test_set"):
        sections = _written_options().get(part)
        for section in sections if isinstance(sections, list) else [sections]:
            if isinstance(section, dict) and isinstance(section.get("targets"), dict):
                systems, target = section.get("systems"), section["targets"].get(name)
                if isinstance(target, dict) and target.get(kind):
                    places = [
                        place if isinstance(place, dict) else {"read_from": place}
                        for place in (target[kind], target, systems)
                        if place is not True
                    ]
                    files = [p["read_from"] for p in places if "read_from" in p]
                    if files[:1] == [file]:  # the first has precedence, as in metatrain
                        return True
    return False


def _written_options() -> Dict[str, Any]:
    """The options file of ``mtt train`` as written, with the changes of ``-r``."""
    files = [a for a in sys.argv[1:] if Path(a).suffix in (".yaml", ".yml")]
    changes = [a for a in sys.argv[1:] if "=" in a and not a.startswith("-")]
    options = OmegaConf.merge(
        *(OmegaConf.load(file) for file in files if Path(file).is_file()),
        OmegaConf.from_dotlist(changes),
    )
    return OmegaConf.to_container(options)  # type: ignore[return-value]
