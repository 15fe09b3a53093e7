"""Names and units of targets."""

import re

from metatomic.torch import ModelOutput


def check_name_and_unit(name: str, unit: str) -> None:
    """Refuse names and units that metatensor, metatomic or PyTorch can't take.

    :param name: name of the target.
    :param unit: its unit.
    :raises ValueError: if they can't, with the name and a better one.
    """
    base, _, variant = name.removeprefix("mtt::").partition("/")
    if not (base.isidentifier() and base.isascii()) or "." in variant:
        better = re.sub(r"[^A-Za-z0-9_]", "_", base)
        better = f"mtt::{better}" if better.isidentifier() else "mtt::y"
        raise ValueError(
            f"'{name}' can't be the name of a target: it needs letters, digits and "
            f"'_', and no digit in front. Call it '{better}', say"
        )
    if base in ("feature", "features"):
        raise ValueError(
            f"'{name}' can't be the name of a target, since all models have an output "
            "of this name: call it 'mtt::y', say"
        )
    try:
        ModelOutput(unit=unit)
    except Exception as error:
        raise ValueError(
            f"the unit '{unit}' of target '{name}' is none that metatomic knows "
            f"({error}): leave 'unit' out, the values stay as they are, or write it "
            "with units such as eV, Hartree, kcal/mol, angstrom, bohr, e, u, fs"
        ) from error


def is_stress(name: str) -> bool:
    """Whether a target is a stress, by the ecosystem's standard name.

    :param name: name of the target, possibly of a variant:
        ``non_conservative_stress/pbe``.
    """
    return name.split("/")[0] == "non_conservative_stress"
