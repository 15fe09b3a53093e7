"""Files of the repository."""

import os
import shutil
from pathlib import Path


PROJECT = Path(__file__).parents[2]
DATA = PROJECT / "data"
ETHANOL = DATA / "ethanol_reduced_100.xyz"


def link(source, destination):
    """Share the content of a file where the file system can."""
    try:
        os.link(source, destination)
    except OSError:
        shutil.copy2(source, destination)
