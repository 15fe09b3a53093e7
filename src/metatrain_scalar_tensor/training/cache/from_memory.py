"""Predictions from edges and densities in memory."""

from typing import Dict, List, Optional

import torch
from metatensor.torch import TensorMap
from metatomic.torch import ModelOutput, System

from ...density import Surroundings
from ...interface.architecture import ScalarTensor
from ...structures import Structures
from .fixed_edges import FixedEdges


class FromMemory(torch.nn.Module):
    """The model for one batch whose edges are kept in memory.

    :param model: the model.
    :param edges: the edges of the structures.
    :param density: their density, if it is kept too.
    """

    def __init__(
        self,
        model: ScalarTensor,
        edges: FixedEdges,
        density: Optional[List[torch.Tensor]],
    ) -> None:
        super().__init__()
        self.model = model
        self.edges = edges
        self.density = density

    def supported_outputs(self) -> Dict[str, ModelOutput]:
        """All outputs that can be requested."""
        return self.model.supported_outputs()

    def forward(
        self, systems: List[System], outputs: Dict[str, ModelOutput]
    ) -> Dict[str, TensorMap]:
        """Predict outputs for the structures of the batch."""
        neighbor_list = self.edges.neighbor_list_of(systems)
        types = self.model.read.types(systems)
        structures = Structures(systems, types, neighbor_list)
        edges = self.edges.of(structures, self.model.model.edges)
        density = self.density
        if density is None:
            density = self.model.model.density(structures, edges)
        surroundings = Surroundings(density, edges)
        return self.model.predict(structures, outputs, None, surroundings)
