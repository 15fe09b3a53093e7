"""Processes beside the one of the tests."""

import os
import subprocess
import sys


TIMEOUT = 300  # seconds, after which a process has failed


def start_training(folder, *arguments, **kwargs):
    """A real ``mtt train`` in a folder with ``options.yaml``."""
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "metatrain", "train", "options.yaml", *arguments],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **kwargs,
    )
