"""The state that changes during a training: weights, learning rate, averages."""

from typing import Any, Callable, Dict, Optional, Union

import torch
from metatrain.utils.distributed.distributed_data_parallel import (
    DistributedDataParallel,
)
from metatrain.utils.loss import LossAggregator

from ..interface.architecture import ScalarTensor
from .averaging import WeightAverage
from .documentation import TrainerHypers
from .epoch import EpochRunner
from .loaders import Loaders
from .optimizer import make_optimizer
from .processes import Processes
from .schedule import warmup_cosine
from .traces import TraceSupervision


class Fit:
    """Trains a model, epoch by epoch.

    :param model: the model; weights that require gradients are trained.
    :param hypers: hyperparameters of the training.
    :param loaders: the batches.
    :param processes: the processes of the run.
    :param sparsify: transform of atomic-basis targets to the layout with atom types.
    """

    def __init__(
        self,
        model: ScalarTensor,
        hypers: TrainerHypers,
        loaders: Loaders,
        processes: Processes,
        sparsify: Callable,
    ) -> None:
        self.hypers = hypers
        self.loaders = loaders
        self.processes = processes
        self.traces = TraceSupervision(model, hypers["trace_supervision"])
        some_weights = next(model.parameters())
        self.traces.to(some_weights)
        self.weights = [w for w in model.parameters() if w.requires_grad]
        self.all_weights = [*self.weights, *self.traces.parameters()]
        self.optimizer = make_optimizer(
            hypers["optimizer"], model, self.all_weights, hypers["learning_rate"]
        )
        self.scheduler = warmup_cosine(
            self.optimizer,
            hypers["num_epochs"] * loaders.steps_per_epoch,
            hypers["warmup_fraction"],
        )
        self.average = WeightAverage(model, hypers["ema_decay"])
        self.runner = EpochRunner(
            _distributed(model, processes),
            LossAggregator(targets=model.dataset_info.targets, config=hypers["loss"]),
            hypers,
            processes,
            sparsify,
            self.traces,
        )

    @property
    def learning_rate(self) -> float:
        """The current learning rate."""
        return self.optimizer.param_groups[0]["lr"]

    def train(self, epoch: int, with_errors: bool) -> Dict[str, float]:
        """Pass through the training set once.

        :param epoch: number of the epoch.
        :param with_errors: whether to compute the errors of all targets.
        :return: the loss and, if requested, the errors.
        """
        self.runner.progress = epoch / self.hypers["num_epochs"]
        return self.runner.run(self.loaders.train(epoch), self._step, with_errors)

    def validate(self) -> Dict[str, float]:
        """Loss and errors of the validation set."""
        return self.runner.run(self.loaders.validation())

    def _step(self, loss: torch.Tensor) -> None:
        """Update the weights, given the loss of a batch."""
        self.optimizer.zero_grad()
        if self.processes.is_distributed:  # include weights that the batch does not use
            loss = loss + 0.0 * sum(w.sum() for w in self.all_weights)
        if loss.requires_grad:  # false if all targets of a batch are missing
            # no gradients of positions, which would need all second derivatives
            loss.backward(inputs=self.all_weights)
            # the wrapper of the model averages its own gradients
            self.processes.average_gradients(self.traces)
            if self.hypers["grad_clip_norm"] is not None:
                torch.nn.utils.clip_grad_norm_(
                    self.weights, self.hypers["grad_clip_norm"], foreach=True
                )
            self.optimizer.step()
        self.scheduler.step()
        self.average.update()

    def state_dict(self) -> Dict[str, Any]:
        """The state, for a checkpoint."""
        return {
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "average": self.average.state_dict(),
            "traces": self.traces.state_dict(),
        }

    def load_state_dict(
        self, state: Optional[Dict[str, Any]], has_new_weights: bool
    ) -> None:
        """Restore the state from a checkpoint, if there is one.

        That of an optimizer of other weights, in an earlier version, is missing.

        :param state: from :meth:`state_dict`.
        :param has_new_weights: whether there are weights of which it has no state: only
            the place in the schedule is restored.
        :raises ValueError: if it is the state of another optimizer.
        """
        if state is None:
            return
        if not has_new_weights:
            if "optimizer" in state:
                kind = "Muon" if "parts" in state["optimizer"] else "Adam"
                if kind != self.hypers["optimizer"]:
                    raise ValueError(
                        f"the checkpoint is of a training with the optimizer {kind}, "
                        f"and can't go on with {self.hypers['optimizer']}: leave "
                        f"'optimizer: {kind}', or start a new training with 'finetune'"
                    )
                self.optimizer.load_state_dict(state["optimizer"])
            self.average.load_state_dict(state["average"])
            self.traces.load_state_dict(state["traces"])
        self.scheduler.load_state_dict(state["scheduler"])
        # the hyperparameter counts, not the rate in the states
        largest = self.hypers["learning_rate"]
        self.scheduler.base_lrs = [largest]
        rate = largest * self.scheduler.lr_lambdas[0](self.scheduler.last_epoch)
        self.optimizer.param_groups[0].update(lr=rate, initial_lr=largest)


def _distributed(
    model: ScalarTensor, processes: Processes
) -> Union[ScalarTensor, DistributedDataParallel]:
    """The model, or a wrapper that averages its gradients over processes."""
    if not processes.is_distributed:
        return model
    is_cuda = processes.device.type == "cuda"
    return DistributedDataParallel(
        model, device_ids=[processes.device] if is_cuda else None
    )
