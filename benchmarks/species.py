"""Time and size of models that know many elements, on the same structure.

648 atoms of water and a polarizability, with models for 2, 10, 40 and 89 elements:
``species: {type: tensor_reduced}``, which does not depend on the number, beside
``orthogonal`` and metatrain's ``soap_bpnn``, whose descriptors grow with its square.
Times as in ``water.py``. Models of more than a GB are left out. Needs
``pip install "metatrain[soap-bpnn]"``.

::

    python benchmarks/species.py         # prints a table
"""

import argparse
from typing import Any, Dict

import torch
from metatrain.utils.architectures import import_architecture
from metatrain.utils.data import DatasetInfo, TargetInfo
from metatrain.utils.data.target_info import get_generic_target_info
from water import ARCHITECTURES, Step, measure, model_hypers, prediction, water


NUMBERS = {2: [1, 8], 10: [*range(1, 11)], 40: [*range(1, 41)], 89: [*range(1, 90)]}
ARCHITECTURES.update(
    {
        f"tensor_reduced, ν = {order}": {
            "name": "experimental.scalar_tensor",
            "species": {"type": "tensor_reduced", "correlation_order": order},
        }
        for order in (2, 3, 4)
    }
)
NAMES = [name for name in ARCHITECTURES if name.startswith("tensor_reduced")]
NAMES += ["scalar_tensor", "soap_bpnn"]
LARGEST = {"scalar_tensor": 10, "soap_bpnn": 10}  # elements, at less than a GB


def polarizability() -> Dict[str, TargetInfo]:
    """A Cartesian tensor of rank 2."""
    description: Dict[str, Any] = {
        "quantity": "",
        "unit": "",
        "type": {"cartesian": {"rank": 2}},
        "sample_kind": "system",
        "num_subtargets": 1,
    }
    return {"mtt::alpha": get_generic_target_info("mtt::alpha", description)}


def parameters(name: str, elements: int) -> float:
    """MB of the weights, in float32."""
    info = DatasetInfo("angstrom", NUMBERS[elements], polarizability())
    architecture = import_architecture(ARCHITECTURES[name]["name"])
    model = architecture.__model__(model_hypers(name), info)
    return sum(p.numel() for p in model.parameters()) * 4 / 2**20


def main() -> None:
    """Measure everything and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    torch.manual_seed(0)
    frame = water()
    steps: Dict[str, Step] = {}
    for name in NAMES:
        for elements, types in NUMBERS.items():
            if elements <= LARGEST.get(name, 89):
                step = prediction(name, polarizability(), frame, False, types)
                if step is not None:
                    steps[f"{name}/{elements}"] = step
    times = measure(dict(steps), rounds)
    print("| model | elements | ms | relative to 2 elements | weights, MB |")
    print("|---|---|---|---|---|")
    for key, ms in times.items():
        name, elements = key.split("/")
        ratio = ms / times[f"{name}/2"]
        size = parameters(name, int(elements))
        print(f"| {name} | {elements} | {ms:.1f} | {ratio:.2f} | {size:.2f} |")


if __name__ == "__main__":
    main()
