"""Names and units of targets."""

import re
from typing import Any, Iterable

from metatomic.torch import ModelOutput


def check_name_and_unit(name: str, unit: str) -> None:
    """Refuse names and units that metatensor, metatomic or PyTorch do not accept.

    :raises ValueError: with a suggestion.
    """
    base, _, variant = name.removeprefix("mtt::").partition("/")
    if not (base.isidentifier() and base.isascii()) or "." in variant:
        better = re.sub(r"[^A-Za-z0-9_]", "_", base)
        better = f"mtt::{better}" if better.isidentifier() else "mtt::y"
        raise ValueError(
            f"'{name}' can't be the name of a target: it needs letters, digits and "
            f"'_', and no digit in front. Call it '{better}', for example"
        )
    if base in ("feature", "features"):
        raise ValueError(
            f"'{name}' can't be the name of a target, since all models have an output "
            "of this name: call it 'mtt::y', for example"
        )
    try:
        ModelOutput(unit=unit)
    except Exception as error:
        raise ValueError(
            f"the unit '{unit}' of target '{name}' is not known to metatomic "
            f"({error}): leave 'unit' out, which does not change the values, or write "
            "it with units such as eV, Hartree, kcal/mol, angstrom, bohr, e, u, fs"
        ) from error


def check_names_differ(names: Iterable[str]) -> None:
    """Refuse targets whose outputs of features and uncertainties have the same name.

    :raises ValueError: if two names differ in ``mtt::`` only.
    """
    for name in names:
        if f"mtt::{name}" in names:
            raise ValueError(
                f"the targets '{name}' and 'mtt::{name}' can't be in one model: their "
                "features and uncertainties have the same names. Rename the second"
            )


def check_names_in_options(
    section: str, hypers: Any, options: Iterable[str], targets: Iterable[str]
) -> None:
    """Refuse options for targets that do not exist.

    :param section: ``model`` or ``training``.
    :param hypers: hyperparameters of this section.
    :param options: those with names of targets; they may have a path instead.
    :param targets: the names of all targets.
    :raises ValueError: with the names that there are.
    """
    for option in options:
        names = hypers[option]
        for name in set() if isinstance(names, str) else set(names) - set(targets):
            raise ValueError(
                f"'{section}.{option}' has a target '{name}', and there are only "
                f"{list(targets)}: correct the name, or remove it"
            )


def is_stress(name: str) -> bool:
    """Whether a target has metatomic's standard name of a stress, or of a variant."""
    return name.split("/")[0] == "non_conservative_stress"
