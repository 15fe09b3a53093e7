"""A model that is a formula: charges and polarizabilities of atoms at their places."""

from typing import Dict, List, Optional

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


def export_charges(path, charge):
    """Write the model of a charge."""
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
    model = AtomisticModel(Charges(charge).eval(), ModelMetadata(), capabilities)
    model.save(str(path))
