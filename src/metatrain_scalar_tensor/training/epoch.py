"""One pass over batches, for training and validation."""

from typing import Callable, Dict, Iterable, List, Optional, Union

import metatensor.torch as mts
import torch
from metatensor.torch import TensorMap
from metatomic.torch import System
from metatrain.utils.distributed.distributed_data_parallel import (
    DistributedDataParallel,
)
from metatrain.utils.evaluate_model import evaluate_model
from metatrain.utils.loss import LossAggregator
from metatrain.utils.metrics import MAEAccumulator, RMSEAccumulator
from metatrain.utils.per_atom import average_by_num_atoms

from ..interface.architecture import ScalarTensor
from .cache import Batch, FromMemory
from .documentation import TrainerHypers
from .processes import Processes
from .traces import TraceSupervision


Tensors = Dict[str, TensorMap]
Accumulator = Union[RMSEAccumulator, MAEAccumulator]


class EpochRunner:
    """Evaluates batches, their loss and their errors.

    :param model: the model, or its distributed wrapper.
    :param loss: loss of predictions and targets.
    :param hypers: hyperparameters of the training.
    :param processes: the processes of the run.
    :param sparsify: transform of atomic-basis targets to the layout with atom types.
    :param traces: an additional loss for the training.
    """

    def __init__(
        self,
        model: Union[ScalarTensor, DistributedDataParallel],
        loss: LossAggregator,
        hypers: TrainerHypers,
        processes: Processes,
        sparsify: Callable,
        traces: TraceSupervision,
    ) -> None:
        self.model = model
        self.module = model.module if processes.is_distributed else model
        self.scaler = self.module.baseline.scaler
        self.pair_scales = self.module.baseline.pair_scales
        self.intensive = self.module.baseline.intensive
        self.targets_info = self.module.dataset_info.targets
        self.loss = loss
        self.hypers = hypers
        self.processes = processes
        self.sparsify = sparsify
        self.traces = traces
        self.progress = 0.0  # completed fraction of the training
        self.has_gradients = any(info.gradients for info in self.targets_info.values())

    def run(
        self,
        batches: Iterable[Batch],
        step: Optional[Callable[[torch.Tensor], None]] = None,
        with_errors: bool = True,
    ) -> Dict[str, float]:
        """Pass through the batches once.

        :param batches: the batches.
        :param step: updates the weights, given the loss of a batch; ``None`` for
            validation.
        :param with_errors: whether to compute RMSE and MAE.
        :return: the mean loss of a batch and, if requested, the errors of the targets;
            empty if there is no batch.
        """
        accumulators: List[Accumulator] = []
        if with_errors:
            separate = self.hypers["log_separate_blocks"]
            accumulators.append(RMSEAccumulator(separate))
            if self.hypers["log_mae"]:
                accumulators.append(MAEAccumulator(separate))

        total_loss, num_batches = 0.0, 0
        # forces need derivatives also in validation
        with_gradients = torch.set_grad_enabled(step is not None or self.has_gradients)
        with with_gradients, self.traces.watching():
            for batch in batches:
                systems, targets, extra = batch.systems, batch.targets, batch.extra
                predictions = self.as_in_loss(
                    systems, self.predict(batch, step is not None)
                )
                loss = self.loss(predictions, targets, extra)
                if step is not None:
                    step(loss + self.traces.loss(targets, self.progress))
                total_loss += self._mean_over_processes(loss.detach())
                num_batches += 1
                if with_errors:
                    self._accumulate(accumulators, systems, predictions, targets, extra)

        if num_batches == 0:
            return {}
        results = {"loss": total_loss / num_batches}
        for accumulator in accumulators:
            results.update(self._finalize(accumulator))
        return results

    def predict(self, batch: Batch, is_training: bool) -> Tensors:
        """The predictions for a batch, as the model returns them in training mode."""
        infos = {name: self.targets_info[name] for name in batch.targets}
        # the wrapper would need equally many batches in all processes
        model = self.model if is_training else self.module
        if batch.edges is not None:
            model = FromMemory(self.module, batch.edges, batch.density)
        return evaluate_model(model, batch.systems, infos, is_training)

    def as_in_loss(self, systems: List[System], predictions: Tensors) -> Tensors:
        """Predictions per atom, with relative scales of properties, as for targets."""
        predictions = average_by_num_atoms(
            predictions, systems, self.hypers["per_structure_targets"]
        )
        return self.scaler.apply_scales(
            systems, predictions, use_per_target_scales=False
        )

    def factors_of_loss(self, batch: Batch, predictions: Tensors) -> Tensors:
        """What a prediction of the network is multiplied with to be compared."""
        ones = {name: mts.ones_like(x) for name, x in predictions.items()}
        return self.as_in_loss(batch.systems, self.pair_scales(ones, False))

    def _accumulate(
        self,
        accumulators: List[Accumulator],
        systems: List[System],
        predictions: Tensors,
        targets: Tensors,
        extra: Tensors,
    ) -> None:
        """Add the errors of a batch, in the units of the targets."""
        # squares of small units, such as C m, have no float32
        predictions, targets = (
            {name: x.to(dtype=torch.float64) for name, x in tensors.items()}
            for tensors in (predictions, targets)
        )
        predictions = self.scaler.apply_scales(
            systems, predictions, use_per_property_scales=False
        )
        targets = self.scaler.apply_scales(
            systems, targets, use_per_property_scales=False
        )
        predictions = self.pair_scales.in_units(predictions)
        targets = self.pair_scales.in_units(targets)
        predictions = self.intensive.from_values_per_atom(predictions, systems)
        targets = self.intensive.from_values_per_atom(targets, systems)
        if self.hypers["log_separate_blocks"]:
            _, predictions, _ = self.sparsify(systems, predictions, {})
            systems, targets, extra = self.sparsify(systems, targets, extra)
        for accumulator in accumulators:
            accumulator.update(predictions, targets, extra)

    def _finalize(self, accumulator: Accumulator) -> Dict[str, float]:
        # metatrain divides by the number of values: leave out targets without any
        accumulator.information = {
            name: (error, count)
            for name, (error, count) in accumulator.information.items()
            if count > 0
        }
        return accumulator.finalize(
            [
                "positions_gradients",
                *self.hypers["per_structure_targets"],
                *self.intensive.kinds,
            ],
            is_distributed=self.processes.is_distributed,
            device=self.processes.device,
        )

    def _mean_over_processes(self, loss: torch.Tensor) -> float:
        if self.processes.is_distributed:
            torch.distributed.all_reduce(loss)
        return loss.item() / self.processes.world_size
