"""What the README says is what is so."""

import re
import subprocess
import sys

import pytest
from helpers import DATA
from metatrain.cli.train import train_model
from omegaconf import OmegaConf

from options import SMALL


PROJECT = DATA.parent
README = (PROJECT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_options_are_those_of_the_file():
    assert (PROJECT / "options" / "qm7x.yaml").read_text() in blocks("yaml")


def test_commands_are_those_of_the_quickstart():
    script = (PROJECT / "scripts" / "quickstart.sh").read_text()
    commands = [c for block in blocks("bash") for c in block.splitlines()]
    for command in commands:
        if command.startswith(("mtt eval", "mtt export")):
            assert command in script


def test_links_lead_somewhere():
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert link.startswith("https://") or (PROJECT / link).exists(), link


@pytest.mark.parametrize("name", ["qm7x", "ethanol"])
def test_options_files_train(name, tmp_path, monkeypatch):
    """The options files of the README, for one epoch and a small model."""
    monkeypatch.chdir(PROJECT)
    options = OmegaConf.load(PROJECT / "options" / f"{name}.yaml")
    options.architecture.model = SMALL["architecture"]["model"]
    options.architecture.training.num_epochs = 1
    train_model(
        options,
        output=tmp_path / f"{name}.pt",
        extensions=tmp_path / "extensions",
        checkpoint_dir=tmp_path,
    )
    assert (tmp_path / f"{name}.pt").exists()


def test_molecular_dynamics_in_ten_lines(tmp_path, monkeypatch):
    for name in ("qm7x", "ethanol"):
        (tmp_path / name).mkdir()
        test_options_files_train(name, tmp_path / name, monkeypatch)
        (tmp_path / name / f"{name}.pt").rename(tmp_path / f"{name}.pt")
    (tmp_path / "data").symlink_to(DATA)
    (example,) = blocks("python")
    output = subprocess.check_output(
        [sys.executable, "-c", example], cwd=tmp_path, text=True
    )
    assert len(re.findall(r"-?\d+\.\d+ eV, dipole \[.*\] e Å", output)) == 100
