"""Data that are kept in memory while training."""

from typing import Iterable, List, Optional, Tuple

from ...interface.architecture import ScalarTensor
from .fixed_edges import EdgesInMemory
from .from_memory import FromMemory
from .prepared import Batch, PreparedSet


class Cache:
    """The data sets that fit into memory, with what needs to be computed only once.

    :param memory: available memory in GiB.
    """

    def __init__(self, memory: float) -> None:
        self.free_memory = memory * 2.0**30  # bytes
        self.sets: List[PreparedSet] = []

    def prepare(
        self, structures: Iterable[Tuple[Batch, int]], number: int
    ) -> Optional[PreparedSet]:
        """Keep a data set, if it fits.

        :param structures: batches of one structure each, and their sizes in bytes.
        :param number: number of structures.
        :return: the set; ``None`` if it does not fit.
        """
        batches: List[Batch] = []
        size = 0
        for batch, of_batch in structures:
            batches.append(batch)
            size += of_batch
            if size / len(batches) * number > self.free_memory:
                return None
        self.free_memory -= size
        self.sets.append(PreparedSet(batches))
        return self.sets[-1]

    def keep_geometry(
        self, model: ScalarTensor, has_gradients: bool, batch_size: int
    ) -> None:
        """Compute what does not change while training, for the sets in memory.

        These are the functions of all edges, and the densities, unless these have
        weights or must be differentiated. Both are kept only if they fit.

        :param model: the model, with a calibrated density.
        :param has_gradients: whether there are targets with forces or stress.
        :param batch_size: number of structures to compute at a time.
        """
        density = model.model.density
        numbers_per_atom = (density.max_angular + 1) ** 2 * density.num_channels
        weights = [*density.parameters(), *model.model.edges.parameters()]
        is_constant = len(weights) == 0
        for dataset in self.sets:
            edges = EdgesInMemory(model.model.edges, dataset.systems, has_gradients)
            if not self._take(edges.size):
                continue
            edges.evaluate()
            dataset.edges = edges
            itemsize = edges.values.itemsize
            size = int(dataset.num_atoms.sum()) * numbers_per_atom * itemsize
            if is_constant and not has_gradients and self._take(size):
                dataset.keep_density(model, batch_size)

    def _take(self, size: int) -> bool:
        """Reserve memory, if there is enough."""
        if size > self.free_memory:
            return False
        self.free_memory -= size
        return True


__all__ = ["Batch", "Cache", "FromMemory"]
