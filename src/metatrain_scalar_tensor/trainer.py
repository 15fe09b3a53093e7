"""The training, as metatrain calls it."""

import logging
import math
import os
import random
from pathlib import Path
from typing import Any, Dict, List, Literal, Optional, Union

import numpy as np
import torch
from metatrain.utils.abc import ModelInterface, TrainerInterface
from metatrain.utils.data.atomic_basis_helpers import (
    get_prepare_atomic_basis_targets_transform,
)
from metatrain.utils.distributed.distributed_data_parallel import (
    DistributedDataParallel,
)
from metatrain.utils.io import check_file_extension
from metatrain.utils.loss import LossAggregator

from . import checkpoints
from .documentation import TrainerHypers
from .model import ScalarTensor
from .training.averaging import WeightAverage
from .training.baseline import fit_to_targets
from .training.checks import Datasets, check_datasets
from .training.diagnosis import refuse_bad_structure
from .training.epoch import EpochRunner
from .training.finetuning import choose_weights
from .training.gradients import unite_gradients
from .training.loaders import Loaders, build_collate_fn
from .training.log import Log
from .training.processes import Processes, start_processes
from .training.sample import typical_structures
from .training.schedule import warmup_cosine
from .training.selection import Selection
from .training.sources import Sources
from .training.traces import TraceSupervision


class Trainer(TrainerInterface[TrainerHypers]):
    """Trains a :class:`ScalarTensor` with Adam.

    :param hypers: hyperparameters of the training.
    """

    __checkpoint_version__ = 1

    def __init__(self, hypers: TrainerHypers) -> None:
        super().__init__(hypers)
        # the state, as of the last complete epoch
        self.epoch: Optional[int] = None
        self.seed = torch.initial_seed()
        self.state: Optional[Dict[str, Any]] = None  # optimizer, scheduler, average
        self.selection = Selection()

    def train(
        self,
        model: ScalarTensor,
        dtype: torch.dtype,
        devices: List[torch.device],
        train_datasets: Datasets,
        val_datasets: Datasets,
        checkpoint_dir: str,
    ) -> None:
        """Train the model.

        :param model: the model, whose weights are changed in place.
        :param dtype: floating-point type to train in.
        :param devices: the device to train on.
        :param train_datasets: training sets.
        :param val_datasets: validation sets, which select the best epoch.
        :param checkpoint_dir: where to write checkpoints.
        :raises ValueError: if hyperparameters contradict each other, or if a target
            can't be used as it is.
        :raises RuntimeError: if the loss stops being a finite number.
        """
        if (
            self.hypers["best_model_metric"] == "mae_prod"
            and not self.hypers["log_mae"]
        ):
            raise ValueError(
                "'best_model_metric: mae_prod' needs 'log_mae: true', without which no "
                "mean absolute error is computed"
            )
        processes = start_processes(self.hypers, devices)
        logging.info(
            f"Training on {processes.world_size} x {processes.device} with {dtype}"
        )
        sources = Sources(checkpoint_dir)
        unite_gradients(
            model.dataset_info.targets, train_datasets, val_datasets, sources
        )
        check_datasets(
            train_datasets,
            val_datasets,
            model.dataset_info,
            model.hypers["index_symmetry"],
            cutoff=max(options.cutoff for options in model.requested_neighbor_lists()),
            sources=sources,
        )
        model.to(device=processes.device, dtype=dtype).train()
        choose_weights(model, train_datasets, self.hypers.get("finetune"))
        largest_values = fit_to_targets(
            model, self.hypers, train_datasets, processes, checkpoint_dir
        )

        targets = model.dataset_info.targets
        densify, sparsify = get_prepare_atomic_basis_targets_transform(
            targets,
            model.dataset_info.extra_data,
            None if model.atom_pairs is None else model.atom_pairs.neighbor_list,
        )
        loaders = Loaders(
            self.hypers,
            build_collate_fn(model, densify, largest_values),
            train_datasets,
            val_datasets,
            dtype,
            processes,
        )
        if not model.density.is_calibrated:
            model.calibrate(
                typical_structures(model, train_datasets, self.hypers["batch_size"])
            )

        traces = TraceSupervision(model, self.hypers["trace_supervision"])
        traces.to(device=processes.device, dtype=dtype)
        weights = [w for w in model.parameters() if w.requires_grad]
        all_weights = [*weights, *traces.parameters()]
        optimizer = torch.optim.Adam(
            all_weights, lr=self.hypers["learning_rate"], fused=True
        )
        scheduler = warmup_cosine(
            optimizer,
            self.hypers["num_epochs"] * loaders.steps_per_epoch,
            self.hypers["warmup_fraction"],
        )
        average = WeightAverage(model, self.hypers["ema_decay"])
        # the old state does not apply to new weights, of new targets or atomic types
        if self.state is not None and not model.has_new_weights:
            optimizer.load_state_dict(self.state["optimizer"])
            scheduler.load_state_dict(self.state["scheduler"])
            average.load_state_dict(self.state["average"])
            traces.load_state_dict(self.state["traces"])

        runner = EpochRunner(
            self._distributed(model, processes),
            LossAggregator(targets=targets, config=self.hypers["loss"]),
            self.hypers,
            processes,
            sparsify,
            traces,
        )
        if not processes.is_distributed:  # whose wrapper must see every forward pass
            loaders.keep_geometry(model, runner.has_gradients)

        def step(loss: torch.Tensor) -> None:
            optimizer.zero_grad()
            if processes.is_distributed:  # weights that this batch does not touch
                loss = loss + 0.0 * sum(w.sum() for w in all_weights)
            if loss.requires_grad:  # not so where all targets of a batch are missing
                # not of the positions: that would take all second derivatives
                loss.backward(inputs=all_weights)
                processes.average_gradients(traces)  # the model does that itself
                if self.hypers["grad_clip_norm"] is not None:
                    torch.nn.utils.clip_grad_norm_(
                        weights, self.hypers["grad_clip_norm"], foreach=True
                    )
                optimizer.step()
            scheduler.step()
            average.update()

        log = Log(model.dataset_info, processes.rank)
        start_epoch = 0 if self.epoch is None else self.epoch + 1
        for epoch in range(start_epoch, self.hypers["num_epochs"]):
            self._seed_epoch(epoch)
            is_logged = epoch % self.hypers["log_interval"] == 0
            learning_rate = optimizer.param_groups[0]["lr"]
            runner.progress = epoch / self.hypers["num_epochs"]
            train_results = runner.run(loaders.train(epoch), step, is_logged)
            if not math.isfinite(train_results["loss"]):
                raise RuntimeError(
                    f"the training loss of epoch {epoch} is {train_results['loss']}: "
                    "lower 'learning_rate', and look for wrong values among the "
                    f"targets. Earlier checkpoints are in '{checkpoint_dir}'"
                )
            with average.applied():
                val_results = runner.run(loaders.validation())
                if not math.isfinite(val_results.get("loss", 0.0)):
                    refuse_bad_structure(model, epoch, val_datasets, sources)
                self.selection.offer(
                    model, epoch, val_results, self.hypers["best_model_metric"]
                )

            if is_logged:
                log.write([train_results, val_results], epoch, learning_rate)

            self.epoch = epoch
            self.state = {
                "optimizer": optimizer.state_dict(),
                "scheduler": scheduler.state_dict(),
                "average": average.state_dict(),
                "traces": traces.state_dict(),
            }
            if epoch % self.hypers["checkpoint_interval"] == 0 and processes.rank == 0:
                self.save_checkpoint(
                    model, Path(checkpoint_dir) / f"model_{epoch}.ckpt"
                )

        log.write_exported(
            self.selection.epoch, self.hypers["num_epochs"], self.selection.results
        )
        if processes.is_distributed:
            # the distributed wrapper ends first, then all processes together
            del runner
            torch.distributed.barrier()
            torch.distributed.destroy_process_group()

    def _distributed(
        self, model: ScalarTensor, processes: Processes
    ) -> Union[ScalarTensor, DistributedDataParallel]:
        if not processes.is_distributed:
            return model
        is_cuda = processes.device.type == "cuda"
        return DistributedDataParallel(
            model, device_ids=[processes.device] if is_cuda else None
        )

    def _seed_epoch(self, epoch: int) -> None:
        """Make the random numbers of an epoch independent of all earlier ones.

        The order of the batches is then the same in a run that was interrupted and
        restarted as in one that was not.
        """
        seed = (self.seed + epoch) % 2**32
        torch.manual_seed(seed)
        np.random.seed(seed)
        random.seed(seed)

    def save_checkpoint(self, model: ModelInterface, path: Union[str, Path]) -> None:
        """Write the state of model and training to a file.

        The file is complete or not there: an interruption leaves an earlier one as it
        was.

        :param model: the model.
        :param path: the file.
        :raises OSError: if it can't be written, as on a full disk.
        """
        checkpoint = model.get_checkpoint()
        checkpoint.update(
            {
                "train_hypers": self.hypers,
                "trainer_ckpt_version": self.__checkpoint_version__,
                "epoch": self.epoch,
                "seed": self.seed,
                "trainer_state": self.state,
                **self.selection.state_dict(),
            }
        )
        if self.selection.model_state is not None:
            checkpoint["best_model_state_dict"] = self.selection.model_state
        path = Path(check_file_extension(path, ".ckpt"))
        unfinished = path.with_suffix(".ckpt.unfinished")
        try:
            torch.save(checkpoint, unfinished)
            os.replace(unfinished, path)
        except (OSError, RuntimeError) as error:  # torch raises both
            unfinished.unlink(missing_ok=True)
            reason = str(error).partition("\n")[0]
            raise OSError(
                f"the checkpoint '{path}' could not be written, most likely because "
                "the disk or your quota is full: make room, then go on with 'mtt train "
                "... --restart auto'. Earlier checkpoints are as they were. The error "
                f"was: {reason}"
            ) from error

    @classmethod
    def load_checkpoint(
        cls,
        checkpoint: Dict[str, Any],
        hypers: TrainerHypers,
        context: Literal["restart", "finetune"],
    ) -> "Trainer":
        """Create the trainer of a checkpoint.

        :param checkpoint: checkpoint, of the current version.
        :param hypers: hyperparameters of the training.
        :param context: ``restart`` goes on where the training stopped, ``finetune``
            begins anew.
        :return: the trainer.
        """
        trainer = cls(hypers)
        if context == "restart":
            trainer.epoch = checkpoint["epoch"]
            trainer.seed = checkpoint["seed"]
            trainer.state = checkpoint["trainer_state"]
            trainer.selection.load_checkpoint(checkpoint)
        return trainer

    @classmethod
    def upgrade_checkpoint(cls, checkpoint: Dict[str, Any]) -> Dict[str, Any]:
        """Refuse a checkpoint of another version: there was no release yet.

        :param checkpoint: checkpoint of any version.
        :return: the checkpoint, of the current version.
        :raises RuntimeError: if its version is another one.
        """
        return checkpoints.check_version(
            checkpoint, "trainer", cls.__checkpoint_version__
        )
