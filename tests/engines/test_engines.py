"""Exported models in a simulation engine."""

import importlib.metadata
import subprocess
import sys

import ase.io
import ase.units
import numpy as np
import pytest
import torch
from ase.md.velocitydistribution import Stationary, thermalize_momenta
from ase.md.verlet import VelocityVerlet
from metatomic.torch import ModelOutput
from metatomic_ase import MetatomicCalculator
from metatrain.utils.io import load_model
from packaging.requirements import Requirement

from ethanol import train_on_ethanol
from files import ETHANOL, link
from helpers import predict
from processes import make_environment, without_pythonpath


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """In single precision, the default, and that with the larger errors."""
    return train_on_ethanol(tmp_path_factory.mktemp("float32"), 32)


@pytest.fixture(scope="module")
def trained_with_messages(tmp_path_factory):
    """With message passing, and as smooth as it gets."""
    return train_on_ethanol(
        tmp_path_factory.mktemp("messages"),
        64,
        architecture__model__messages={"layers": 1, "channels": 16},
        architecture__model__expansion__basis__max_angular=3,
        architecture__model__expansion__basis__radial__type="Bessel",
        architecture__model__expansion__cutoff__smoothing__type="Smoothstep",
    )


def calculator(folder, **kwargs):
    return MetatomicCalculator(
        folder / "model.pt", extensions_directory=folder / "extensions", **kwargs
    )


def assert_energy_is_conserved(atoms):
    """The total energy drifts by less than 1e-4 eV/atom over 2 ps."""
    thermalize_momenta(atoms, temperature_K=300, rng=np.random.default_rng(0))
    Stationary(atoms)
    dynamics = VelocityVerlet(atoms, timestep=0.5 * ase.units.fs)
    energies = []
    dynamics.attach(lambda: energies.append(atoms.get_total_energy()), interval=10)
    dynamics.run(4000)
    assert np.isfinite(energies).all()
    time = np.linspace(0.0, 1.0, len(energies))  # in units of 2 ps
    drift = np.polyfit(time, energies, 1)[0] / len(atoms)
    assert abs(drift) < 1e-4


def test_energy_is_conserved(trained):
    atoms = ase.io.read(ETHANOL, "0")
    atoms.calc = calculator(trained)
    assert_energy_is_conserved(atoms)


def test_energy_is_conserved_with_messages(trained_with_messages):
    """In double precision, within the cutoff of the molecule's own images."""
    atoms = ase.io.read(ETHANOL, "0")
    atoms.set_cell([7.0, 7.0, 7.0])
    atoms.pbc = True
    atoms.calc = calculator(trained_with_messages)
    assert_energy_is_conserved(atoms)


def test_custom_outputs_along_a_trajectory(trained):
    atoms = ase.io.read(ETHANOL, "0")
    atoms.calc = calculator(
        trained, additional_outputs={"mtt::mu": ModelOutput(sample_kind="system")}
    )
    atoms.get_potential_energy()
    (exported,) = atoms.calc.additional_outputs["mtt::mu"].block().values
    model = load_model(trained / "model.ckpt").eval()
    expected = predict(model, [atoms], ["mtt::mu"], "system")["mtt::mu"]
    torch.testing.assert_close(
        exported.double().cpu(),
        expected.block().values[0].double(),
        atol=1e-4,
        rtol=1e-4,
    )


def dependencies(name, found, extra=""):
    """A package with all that it requires, by its name and that of an extra, if any.

    PyTorch for GPUs requires extras of a package that collects those of CUDA.
    """
    distribution = importlib.metadata.distribution(name)
    if (distribution.name, extra) not in found:
        found[distribution.name, extra] = distribution
        for line in distribution.requires or []:
            requirement = Requirement(line)
            marker = requirement.marker
            if marker is None or marker.evaluate({"extra": extra}):
                for wanted in ["", *requirement.extras]:
                    dependencies(requirement.name, found, wanted)
    return found


def test_exported_model_is_one_file_that_needs_no_other_package(trained, tmp_path):
    """No compiled extensions: it runs where nothing but metatomic-ase is installed."""
    subprocess.check_call(
        [sys.executable, "-m", "metatrain", "export", trained / "model.ckpt"]
        + ["-o", "alone.pt", "-e", "extensions"],
        cwd=tmp_path,
    )
    assert not list(tmp_path.glob("extensions/**/*"))
    python = make_environment(tmp_path / "venv")
    [site_packages] = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    found = dependencies("ase", dependencies("metatomic-ase", {}))
    packages = {name: package for (name, _), package in found.items()}
    assert not {"featomic", "metatrain", "metatrain-scalar-tensor"} & packages.keys()
    for package in packages.values():
        for file in package.files:
            if ".." not in file.parts and file.suffix != ".pyc":
                (site_packages / file).parent.mkdir(parents=True, exist_ok=True)
                link(file.locate(), site_packages / file)

    ase.io.write(tmp_path / "ethanol.xyz", ase.io.read(ETHANOL, "0"))
    script = """
import ase.io
from metatomic_ase import MetatomicCalculator
atoms = ase.io.read("ethanol.xyz")
atoms.calc = MetatomicCalculator("alone.pt")
print(atoms.get_potential_energy())
"""
    output = subprocess.check_output(
        [python, "-c", script], cwd=tmp_path, env=without_pythonpath(), text=True
    )
    atoms = ase.io.read(ETHANOL, "0")
    expected = calculator(trained).get_potential_energy(atoms)
    assert float(output) == pytest.approx(expected, rel=1e-6)
