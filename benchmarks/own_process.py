"""Measurements that need a process of their own."""

import json
import subprocess
import sys
from typing import Dict


def in_own_process(file: str, *arguments: object) -> Dict[str, float]:
    """What a benchmark prints last, as JSON, when it is started with ``--one``.

    :param file: the benchmark.
    :param arguments: what to measure.
    :raises RuntimeError: if it fails, with what it says.
    """
    command = [sys.executable, file, "--one", *map(str, arguments)]
    output = subprocess.run(command, capture_output=True, text=True)
    if output.returncode != 0:
        raise RuntimeError(output.stderr)
    result: Dict[str, float] = json.loads(output.stdout.splitlines()[-1])
    return result
