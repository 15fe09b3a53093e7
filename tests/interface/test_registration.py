"""Unmodified metatrain finds the architecture, in normal and in editable installs."""

import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from files import PROJECT, link
from options import write_options
from processes import make_environment, without_pythonpath


def install(folder, *options):
    """The command ``mtt`` of a new virtual environment with this project installed.

    All packages but the project come from the environment of the tests, so that nothing
    needs to be downloaded.

    :param folder: where to make the environment and a copy of the project.
    :param options: of ``pip install``.
    :return: a function that runs the command and returns its output, and the path of
        the package.
    """
    environment = without_pythonpath()
    python = make_environment(folder / "venv")
    site_packages = Path(
        subprocess.check_output(
            [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
            text=True,
        ).strip()
    )
    shutil.copytree(
        sysconfig.get_path("purelib"),
        site_packages,
        copy_function=link,
        dirs_exist_ok=True,
        ignore=shutil.ignore_patterns("*scalar_tensor*"),
    )
    assert not (site_packages / "metatrain" / "experimental" / "scalar_tensor").exists()
    project = folder / "project"
    shutil.copytree(
        PROJECT, project, ignore=shutil.ignore_patterns(".*", "outputs", "quickstart")
    )
    subprocess.check_call(
        [python, "-m", "pip", "install", "--no-deps", "--no-build-isolation"]
        + [*options, project],
        env=environment,
    )

    def run(*arguments):
        process = subprocess.run(
            [python, "-m", "metatrain", *arguments],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.returncode == 0, process.stdout
        return process.stdout

    where = subprocess.check_output(
        [python, "-c", "import metatrain_scalar_tensor as p; print(p.__file__)"],
        env=environment,
        text=True,
    )
    return run, Path(where.strip())


def test_train_export_eval_restart(tmp_path):
    mtt, package = install(tmp_path)
    assert package.is_relative_to(tmp_path / "venv")
    options = write_options()
    OmegaConf.save(options, tmp_path / "options.yaml")
    assert "Training finished!" in mtt("train", "options.yaml")
    mtt("export", "model.ckpt", "-o", "exported.pt")
    OmegaConf.save(options.training_set, tmp_path / "eval.yaml")
    output = mtt("eval", "exported.pt", "eval.yaml", "-b", "10")
    assert "mtt::alpha RMSE" in output

    options.architecture.training.num_epochs = 4
    OmegaConf.save(options, tmp_path / "options.yaml")
    output = mtt("train", "options.yaml", "--restart", "auto")
    assert "Restarting training from" in output
    assert "Training finished!" in output

    options.architecture.model.network.width = 3
    OmegaConf.save(options, tmp_path / "wrong.yaml")
    with pytest.raises(AssertionError, match="Unrecognized option 'width'"):
        mtt("train", "wrong.yaml")


def test_train_in_an_editable_install(tmp_path):
    mtt, package = install(tmp_path, "--editable")
    assert package.is_relative_to(tmp_path / "project" / "src")
    OmegaConf.save(write_options(), tmp_path / "options.yaml")
    assert "Training finished!" in mtt("train", "options.yaml")
