"""A model that is a formula: charges and polarizabilities of atoms at their places."""

from typing import Dict, List, Optional

import metatensor.torch
import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import (
    AtomisticModel,
    ModelCapabilities,
    ModelMetadata,
    ModelOutput,
    System,
)


class Charges(torch.nn.Module):
    """``mtt::mu`` is Σ q r, and ``mtt::alpha`` is Σ q x diag(3, 1, 1).

    :param charge: of hydrogen in e; other atoms have the opposite.
    """

    def __init__(self, charge: float):
        super().__init__()
        self.charge = charge

    def forward(
        self,
        systems: List[System],
        outputs: Dict[str, ModelOutput],
        selected_atoms: Optional[Labels] = None,
    ) -> Dict[str, TensorMap]:
        result: Dict[str, TensorMap] = {}
        for name, output in outputs.items():
            values: List[torch.Tensor] = []
            samples: List[List[int]] = []
            for i, system in enumerate(systems):
                sign = torch.where(system.types == 1, 1.0, -1.0).to(torch.float64)
                tensors = self.charge * sign[:, None] * system.positions
                if name == "mtt::alpha":
                    matrix = torch.diag(torch.tensor([3.0, 1.0, 1.0])).to(tensors)
                    tensors = tensors[:, :1, None] * matrix
                if output.sample_kind == "atom":
                    samples += [[i, j] for j in range(len(system))]
                else:
                    tensors = tensors.sum(0, keepdim=True)
                    samples += [[i]]
                values.append(tensors)
            axes = ["xyz"] if name == "mtt::mu" else ["xyz_1", "xyz_2"]
            names = ["system", "atom"] if output.sample_kind == "atom" else ["system"]
            block = TensorBlock(
                torch.cat(values).unsqueeze(-1),
                Labels(names, torch.tensor(samples)),
                [Labels([axis], torch.arange(3).reshape(-1, 1)) for axis in axes],
                Labels(["_"], torch.tensor([[0]])),
            )
            result[name] = TensorMap(Labels(["_"], torch.tensor([[0]])), [block])
        return result


class Ions(Charges):
    """The same, times the input ``charge`` of the structure."""

    def requested_inputs(self) -> Dict[str, ModelOutput]:
        return {"charge": ModelOutput(unit="e", sample_kind="system")}

    def forward(
        self,
        systems: List[System],
        outputs: Dict[str, ModelOutput],
        selected_atoms: Optional[Labels] = None,
    ) -> Dict[str, TensorMap]:
        [system] = systems
        charge = system.get_data("charge").block().values.item()
        result = super().forward(systems, outputs, selected_atoms)
        return {
            name: metatensor.torch.multiply(t, charge) for name, t in result.items()
        }


def exported(module):
    """A model around the formula."""
    outputs = {
        "mtt::mu": ModelOutput(unit="e*A", sample_kind="atom"),
        "mtt::alpha": ModelOutput(unit="A^3", sample_kind="atom"),
    }
    capabilities = ModelCapabilities(
        outputs=outputs,
        atomic_types=[1, 9],
        interaction_range=0.0,
        length_unit="angstrom",
        supported_devices=["cpu"],
        dtype="float64",
    )
    return AtomisticModel(module.eval(), ModelMetadata(), capabilities)
