"""The options file that trains on a data file, from ``options/hamiltonian.yaml``."""

import math
from pathlib import Path
from typing import Any, Dict

import yaml


TEMPLATE = Path(__file__).parents[2] / "options" / "hamiltonian.yaml"


def write_options(path: str, data: str, irreps: Dict[int, Any], reach: float) -> None:
    """Write it.

    :param path: file to write.
    :param data: the data file.
    :param irreps: orbitals of all types.
    :param reach: largest distance of pairs of atoms in Å, for the cutoff.
    """
    options = yaml.safe_load(TEMPLATE.read_text())
    training_set = options["training_set"]
    training_set["systems"]["read_from"] = data
    for target in training_set["targets"].values():  # they share one "type"
        target["type"]["spherical"]["irreps"] = irreps
    cutoff = options["architecture"]["model"]["atom_pairs"]
    cutoff["cutoff"] = float(max(cutoff["cutoff"], math.ceil(reach)))
    # a product of two shells has irreps up to twice their l
    largest = max(irrep["o3_lambda"] for shells in irreps.values() for irrep in shells)
    density = options["architecture"]["model"]["expansion"]["basis"]
    density["max_angular"] = max(density["max_angular"], 2 * largest)
    text = yaml.safe_dump(options, sort_keys=False, default_flow_style=None, width=88)
    Path(path).write_text(f"# Matrices of {data}, by make_data.py.\n{text}")
