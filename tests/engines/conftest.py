"""What the tests of all engines share."""

import shutil

import pytest

from ethanol import train_on_ethanol
from files import PROJECT, link


@pytest.fixture(scope="session")
def ethanol(tmp_path_factory):
    """Folder with ``model.pt``, in float64, trained once for all engines."""
    return train_on_ethanol(tmp_path_factory.mktemp("ethanol"), 64)


@pytest.fixture
def example(ethanol, tmp_path):
    """A copy of ``examples/engines`` with the models that its README names."""
    folder = tmp_path / "engines"
    shutil.copytree(PROJECT / "examples" / "engines", folder)
    for name in ("ethanol.pt", "qm7x.pt"):
        link(ethanol / "model.pt", folder / name)
    return folder
