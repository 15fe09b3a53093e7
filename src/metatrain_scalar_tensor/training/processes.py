"""One process or several."""

from typing import Any, List, NamedTuple

import torch
from metatrain.utils.distributed.slurm import (
    DistributedEnvironment,
    initialize_slurm_nccl_process_group,
    resolve_distributed,
)

from .documentation import TrainerHypers


class Processes(NamedTuple):
    """This process and the number of all processes."""

    device: torch.device
    world_size: int
    rank: int
    is_distributed: bool
    """Whether gradients and metrics are summed over processes."""

    def average_gradients(self, module: torch.nn.Module) -> None:
        """Average the gradients of a module that has no distributed wrapper."""
        if self.is_distributed:
            for parameter in module.parameters():
                if parameter.grad is not None:
                    torch.distributed.all_reduce(parameter.grad)
                    parameter.grad.div_(self.world_size)

    def gather(self, of_this: Any) -> List[Any]:
        """What each of the processes has, in their order, on all of them."""
        if not self.is_distributed:
            return [of_this]
        of_all: List[Any] = [None] * self.world_size
        torch.distributed.all_gather_object(of_all, of_this)
        return of_all

    def add_up(self, values: torch.Tensor) -> None:
        """Replace values by their sums over the processes."""
        if self.is_distributed:
            torch.distributed.all_reduce(values)

    def share(self, module: torch.nn.Module) -> None:
        """Give all processes the weights that a module has in the first."""
        if self.is_distributed:
            for weights in module.parameters():
                torch.distributed.broadcast(weights.data, src=0)

    def end(self) -> None:
        """Wait for all processes, and leave the group."""
        if self.is_distributed:
            torch.distributed.barrier()
            torch.distributed.destroy_process_group()


def start_processes(hypers: TrainerHypers, devices: List[torch.device]) -> Processes:
    """Join the other processes of a SLURM job, if there are any.

    NCCL connects processes with GPUs, gloo those without.

    :param hypers: hyperparameters of the training.
    :param devices: devices that metatrain selected.
    :raises ValueError: if several devices are requested in one process.
    """
    if len(devices) > 1:
        raise ValueError(
            "experimental.scalar_tensor uses one device in each process, and "
            f"{len(devices)} were asked for: set 'device: cuda' and start one SLURM "
            "task for each GPU"
        )
    if not resolve_distributed(hypers.get("distributed")):
        return Processes(devices[0], 1, 0, False)
    port = hypers["distributed_port"]
    if devices[0].type == "cuda":
        device, world_size, rank = initialize_slurm_nccl_process_group(port)
        return Processes(device, world_size, rank, True)
    environment = DistributedEnvironment(port)
    torch.distributed.init_process_group(
        "gloo", world_size=environment.world_size, rank=environment.rank
    )
    return Processes(devices[0], environment.world_size, environment.rank, True)
