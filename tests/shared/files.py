"""Files of the repository."""

import importlib.util
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


def load_script(path):
    """A script as a module, which does not run what it does as a program."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
