"""The training loop that metatrain calls."""

import copy
import logging
import math
import os
import random
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, List, Literal, Optional, Union

import numpy as np
import torch
from metatrain.utils.abc import ModelInterface, TrainerInterface
from metatrain.utils.io import check_file_extension

from .interface import checkpoints
from .interface.architecture import ScalarTensor
from .interface.fit import fit_to_targets
from .interface.intensive import sums_over_atoms
from .interface.log import Log, log_species
from .interface.sources import Sources
from .training.check_hypers import check_hypers
from .training.checks import Datasets, check_data
from .training.diagnosis import refuse_bad_structure
from .training.documentation import TrainerHypers
from .training.finetuning import choose_weights, forget_ensembles
from .training.fit import Fit
from .training.loaders import Loaders, atomic_basis_transforms, build_collate_fn
from .training.processes import start_processes
from .training.sample import calibrate
from .training.selection import Selection
from .training.solve import solve_heads
from .training.solve.ensemble import draw_ensembles


class Trainer(TrainerInterface[TrainerHypers]):
    """Trains a :class:`ScalarTensor` with Adam.

    :param hypers: hyperparameters of the training.
    """

    __checkpoint_version__ = 2

    def __init__(self, hypers: TrainerHypers) -> None:
        super().__init__(hypers)
        # the state after the last complete epoch
        self.epoch: Optional[int] = None
        self.seed = torch.initial_seed()
        self.state: Optional[Dict[str, Any]] = None  # optimizer, scheduler, average
        self.selection = Selection()  # of the epochs
        self.start = Selection()  # the initial weights with solved heads
        self.exported: Optional[Selection] = None  # after the training

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
        :raises ValueError: if hyperparameters contradict each other, or the data can't
            be used.
        :raises RuntimeError: if the loss is no longer finite.
        """
        processes = start_processes(self.hypers, devices)
        intensive = model.hypers["intensive"]
        check_hypers(self.hypers, intensive, sorted(model.dataset_info.targets))
        logging.info(
            f"Training on {processes.world_size} x {processes.device} with {dtype}"
        )
        log_species(model.hypers, len(model.atomic_types))
        sources = Sources(checkpoint_dir)
        check_data(model, train_datasets, val_datasets, sources)
        model.to(device=processes.device, dtype=dtype).train()
        choose_weights(model, train_datasets, self.hypers.get("finetune"))
        forget_ensembles(model)
        train_sums = sums_over_atoms(train_datasets, intensive)
        largest_values = fit_to_targets(
            model,
            self.hypers,
            train_sums,
            processes.is_distributed,
            checkpoint_dir,
        )
        densify, sparsify = atomic_basis_transforms(model)
        loaders = Loaders(
            self.hypers,
            build_collate_fn(model, densify, largest_values),
            train_sums,
            sums_over_atoms(val_datasets, intensive),
            dtype,
            processes,
        )
        calibrate(model, train_datasets, self.hypers["batch_size"])
        fit = Fit(model, self.hypers, loaders, processes, sparsify)
        fit.load_state_dict(self.state, model.has_new_weights)
        if model.has_new_weights:  # which the old states do not have
            self.selection, self.start = Selection(), Selection()
        if not processes.is_distributed:  # DDP needs every forward pass of its wrapper
            loaders.keep_geometry(model, fit.runner.has_gradients)

        if self.hypers["solve_heads"] and (self.epoch is None or model.has_new_weights):
            self._solve_heads(model, fit, self.start)
        log = Log(model.dataset_info, processes.rank)
        start_epoch = 0 if self.epoch is None else self.epoch + 1
        for epoch in range(start_epoch, self.hypers["num_epochs"]):
            self._seed_epoch(epoch)
            is_logged = epoch % self.hypers["log_interval"] == 0
            learning_rate = fit.learning_rate
            train_results = fit.train(epoch, is_logged)
            if not math.isfinite(train_results["loss"]):
                raise RuntimeError(
                    f"the training loss of epoch {epoch} is {train_results['loss']}: "
                    "lower 'learning_rate', and look for wrong values among the "
                    f"targets. Earlier checkpoints are in '{checkpoint_dir}'"
                )
            with fit.average.applied():
                val_results = fit.validate()
                if not math.isfinite(val_results.get("loss", 0.0)):
                    refuse_bad_structure(model, epoch, val_datasets, sources)
                self.selection.offer(
                    model, epoch, val_results, self.hypers["best_model_metric"]
                )
            if is_logged:
                log.write([train_results, val_results], epoch, learning_rate)
            self.epoch, self.state = epoch, fit.state_dict()
            if epoch % self.hypers["checkpoint_interval"] == 0 and processes.rank == 0:
                path = Path(checkpoint_dir) / f"model_{epoch}.ckpt"
                self.save_checkpoint(model, path)

        exported = copy.copy(self.selection)
        if self.hypers["solve_heads"] and exported.epoch is not None:
            self._solve_heads(model, fit, exported)
        exported = copy.copy(exported.or_start(self.start))
        if self.hypers["num_ensemble_members"] > 0:
            self._draw_ensembles(model, fit, exported)
        self.exported = exported
        log.write_exported(exported.epoch, self.hypers["num_epochs"], exported.results)
        del fit  # the distributed wrapper must go before the process group
        processes.end()

    def _solve_heads(self, model: ScalarTensor, fit: Fit, selection: Selection) -> None:
        """Solve the heads on the selected features, which may be the present ones.

        :param model: the model, which is the same afterwards.
        :param fit: its training.
        :param selection: the features, which become those with the solved heads.
        """
        with _weights_of(selection, model):
            results = solve_heads(model, fit)
            metric = self.hypers["best_model_metric"]
            selection.offer(model, selection.epoch, results, metric)

    def _draw_ensembles(
        self, model: ScalarTensor, fit: Fit, selection: Selection
    ) -> None:
        """Give the selected weights their ensembles.

        :param model: the model, which is the same afterwards.
        :param fit: its training.
        :param selection: the weights, by default those of the model.
        """
        with _weights_of(selection, model):
            draw_ensembles(model, fit, self.hypers["num_ensemble_members"])
            selection.model_state = copy.deepcopy(model.state_dict())
        model.offer_ensembles()

    def _seed_epoch(self, epoch: int) -> None:
        """Make the batches of an epoch the same with and without a restart."""
        seed = (self.seed + epoch) % 2**32
        torch.manual_seed(seed)
        np.random.seed(seed)
        random.seed(seed)

    def save_checkpoint(self, model: ModelInterface, path: Union[str, Path]) -> None:
        """Write the state of model and training to a file, all or nothing.

        An interruption leaves an earlier file unchanged.

        :param model: the model.
        :param path: the file.
        :raises OSError: if it can't be written, for example on a full disk.
        """
        checkpoint = model.get_checkpoint()
        checkpoint.update(
            {
                "train_hypers": self.hypers,
                "trainer_ckpt_version": self.__checkpoint_version__,
                "epoch": self.epoch,
                "seed": self.seed,
                "trainer_state": self.state,
                "trainer_selection": self.selection.state_dict(),
                "trainer_start": self.start.state_dict(),
                **(self.exported or self.selection.or_start(self.start)).state_dict(),
            }
        )
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
                "... --restart auto'. Earlier checkpoints are unchanged. The error "
                f"was: {reason}"
            ) from error

    @classmethod
    def load_checkpoint(
        cls,
        checkpoint: Dict[str, Any],
        hypers: TrainerHypers,
        context: Literal["restart", "finetune"],
    ) -> "Trainer":
        """Create a trainer from a checkpoint.

        :param checkpoint: checkpoint of the current version.
        :param hypers: hyperparameters of the training.
        :param context: ``restart`` continues where the training stopped, ``finetune``
            starts a new one.
        """
        trainer = cls(hypers)
        if context == "restart":
            trainer.epoch = checkpoint["epoch"]
            trainer.seed = checkpoint["seed"]
            trainer.state = checkpoint["trainer_state"]
            metric = hypers.get("best_model_metric", "rmse_prod")
            trainer.selection.load_state_dict(checkpoint["trainer_selection"], metric)
            trainer.start.load_state_dict(checkpoint["trainer_start"], metric)
        return trainer

    @classmethod
    def upgrade_checkpoint(cls, checkpoint: Dict[str, Any]) -> Dict[str, Any]:
        """Return a checkpoint in the current version, made from that of an older one.

        :raises RuntimeError: if the checkpoint has an unknown version.
        """
        return checkpoints.upgraded(checkpoint, "trainer", cls.__checkpoint_version__)


@contextmanager
def _weights_of(selection: Selection, model: ScalarTensor) -> Iterator[None]:
    """Context in which the model has the selected weights, if there are any."""
    latest = copy.deepcopy(model.state_dict())
    if selection.model_state is not None:
        model.load_state_dict(selection.model_state)
    yield
    model.load_state_dict(latest)
