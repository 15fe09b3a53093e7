"""The examples of ASE: dynamics with a dipole, and many structures in one call."""

import runpy
import sys

import ase.io
import numpy as np
import pytest
from metatomic.torch import ModelOutput
from metatomic_ase import MetatomicCalculator

from documents import arguments_of
from files import ETHANOL
from helpers import cartesian, make_model, molecules


@pytest.fixture
def run(example, monkeypatch):
    """Run the first command of the README with a script, with further arguments."""
    monkeypatch.chdir(example)

    def run(script, *changes):
        typed = arguments_of(example / "README.md", "python")
        arguments = next(words[2:] for words in typed if words[1] == script)
        arguments = [a.replace("../../data", str(ETHANOL.parent)) for a in arguments]
        monkeypatch.setattr(sys, "argv", [script, *arguments, *changes])
        runpy.run_path(script, run_name="__main__")

    return run


def test_langevin_dynamics_with_a_dipole(example, run, capsys):
    run("ase_nvt.py", "--steps", "100")
    assert len(capsys.readouterr().out.splitlines()) == 11
    frames = ase.io.read(example / "ase-nvt.xyz", ":")
    assert len(frames) == 11
    temperatures = [frame.get_temperature() for frame in frames]
    assert 150 < np.mean(temperatures) < 450
    calculator = MetatomicCalculator(example / "qm7x.pt")
    request = {"mtt::mu": ModelOutput(sample_kind="system")}
    for frame in frames:
        values = calculator.run_model(frame, request)["mtt::mu"].block().values
        # up to the digits of the positions in the file
        np.testing.assert_allclose(frame.info["mu"], values[0, :, 0], atol=1e-5)


@pytest.fixture(scope="module")
def calculator(ethanol):
    return MetatomicCalculator(ethanol / "model.pt")


@pytest.fixture(scope="module")
def frames():
    """Molecules and parts of them, of different numbers of atoms."""
    frames = ase.io.read(ETHANOL, ":10")
    for frame in frames:
        frame.calc = None
    return [frame[i % 4 :] for i, frame in enumerate(frames)]


@pytest.fixture(scope="module")
def singles(ethanol, frames):
    """Energy, forces and dipole of every structure, one after the other."""
    request = {"mtt::mu": ModelOutput(sample_kind="system")}
    single = MetatomicCalculator(ethanol / "model.pt", additional_outputs=request)
    found = []
    for frame in frames:
        energy, forces = (single.get_property(n, frame) for n in ("energy", "forces"))
        dipole = single.additional_outputs["mtt::mu"].block().values.detach()
        found.append((energy, forces, dipole[0, :, 0]))
    return found


@pytest.mark.parametrize("batch_size", [1, 3, 10])
def test_batches_give_what_single_structures_give(
    example, calculator, frames, singles, batch_size
):
    functions = runpy.run_path(str(example / "ase_batches.py"))
    results = functions["energies_and_forces"](calculator, frames, batch_size)
    dipoles = functions["tensors"](calculator, frames, "mtt::mu", batch_size)
    for i, (energy, forces, dipole) in enumerate(singles):
        assert results["energy"][i] == pytest.approx(energy, abs=1e-10, rel=0)
        np.testing.assert_allclose(results["forces"][i], forces, atol=1e-10, rtol=0)
        np.testing.assert_allclose(dipoles[i], dipole, atol=1e-10, rtol=0)


def test_batches_of_polarizabilities(example):
    functions = runpy.run_path(str(example / "ase_batches.py"))
    model = make_model({"mtt::alpha": cartesian(2, sample_kind="system")})
    calculator = MetatomicCalculator(model.export())
    frames = molecules(5)
    values = functions["tensors"](calculator, frames, "mtt::alpha", 2)
    assert values.shape == (5, 3, 3)
    for frame, value in zip(frames, values):
        single = functions["tensors"](calculator, [frame], "mtt::alpha", 1)[0]
        np.testing.assert_allclose(value, single, atol=1e-10, rtol=0)


def test_structures_are_written_with_their_properties(example, calculator, frames, run):
    run("ase_batches.py")
    written = ase.io.read(example / "ase-batches.xyz", ":")
    assert len(written) == 100
    first = frames[0]
    assert written[0].get_potential_energy() == pytest.approx(
        calculator.get_potential_energy(first), abs=1e-10, rel=0
    )
    np.testing.assert_allclose(
        written[0].get_forces(), calculator.get_forces(first), atol=1e-8
    )
    assert written[0].info["mu"].shape == (3,)


def test_times_of_batches_are_compared(run, capsys):
    run("ase_batches.py", "--compare", "1", "50")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "batches of    1",
        "batches of   50",
    ]
