"""Processes beside the one of the tests, and environments for them."""

import os
import socket
import subprocess
import sys


TIMEOUT = 300  # seconds, after which a process has failed


def start_training(
    folder, *arguments, options="options.yaml", environment=None, **kwargs
):
    """A real ``mtt train`` in a folder, by default that of the options."""
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "metatrain", "train", options, *arguments],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **kwargs,
    )


def train_as_two_tasks(folder, options="options.yaml"):
    """As two SLURM tasks on one machine, connected by gloo, in the folders 0 and 1.

    :return: the outputs of both.
    """
    processes = []
    for rank in range(2):
        of_task = folder / str(rank)
        of_task.mkdir()
        slurm = {
            "SLURM_JOB_ID": "1",
            "SLURM_NTASKS": "2",
            "SLURM_PROCID": str(rank),
            "SLURM_LOCALID": str(rank),
            "SLURM_JOB_NODELIST": "localhost",
        }
        processes.append(
            start_training(of_task, options=f"../{options}", environment=slurm)
        )
    outputs = [process.communicate(timeout=TIMEOUT)[0] for process in processes]
    assert [p.returncode for p in processes] == [0, 0], "\n".join(outputs)
    return outputs


def make_environment(folder):
    """Make an empty virtual environment; returns its ``python``."""
    subprocess.check_call([sys.executable, "-m", "venv", "--without-pip", folder])
    return folder / "bin" / "python"


def without_pythonpath():
    """The variables of this process but for the one that leads out of environments."""
    return {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}


def free_port():
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]
