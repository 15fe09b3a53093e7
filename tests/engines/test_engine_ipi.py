"""The examples of i-PI, with server and driver as two processes over a socket."""

import os
import subprocess
import sysconfig
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path

import ase.io
import ase.units
import numpy as np
import pytest
from ipi import read_output
from metatomic_ase import MetatomicCalculator

from documents import arguments_of, blocks
from helpers import cartesian, make_model, target
from metatrain_scalar_tensor.simulation import TensorCalculator
from processes import free_port


TIMEOUT = 120  # seconds, after which a run has failed
PORT = "31415"  # that of the example
DIGITS = 2e-5  # eV, of energies in i-PI's output


@contextmanager
def started(command, folder, **kwargs):
    """A process that is gone afterwards, whatever happened."""
    program = Path(sysconfig.get_path("scripts")) / command[0]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [program, *command[1:]], cwd=folder, env=environment, text=True, **kwargs
    )
    watchdog = threading.Timer(TIMEOUT, process.kill)
    watchdog.start()
    try:
        yield process
    finally:
        watchdog.cancel()
        process.kill()
        process.communicate()


def run(folder, server, driver):
    """Run both until the server is done."""
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with started(server, folder, **output) as ipi:
        lines = iter(ipi.stdout.readline, "")
        assert any("Created" in line and "socket" in line for line in lines)
        with open(folder / "driver.log", "w") as log:
            with started(driver, folder, stdout=log, stderr=log) as client:
                said = ipi.stdout.read()
                ipi.wait()
                client.wait()
    report = said + (folder / "driver.log").read_text()
    assert ipi.returncode == 0 and client.returncode == 0, report
    assert "I-PI reports success" in report


def run_over_unix_socket(folder, server, driver):
    """As in the README, the socket being a file elsewhere than in /tmp."""
    with tempfile.TemporaryDirectory() as prefix:
        run(folder, [*server, "-S", f"{prefix}/"], [*driver, "-S", f"{prefix}/"])


def run_over_inet_socket(folder, server, driver):
    """As in the README, but for a port that is free."""
    port = str(free_port())
    inputs = folder / server[1]
    text = inputs.read_text()
    assert text.count(PORT) == 1 and driver.count(PORT) == 1
    inputs.write_text(text.replace(PORT, port))
    run(folder, server, [port if word == PORT else word for word in driver])


def energies(folder, frames):
    """What ASE gives, eV."""
    calculator = MetatomicCalculator(folder / "ethanol.pt")
    return calculator.compute_energy(frames)["energy"]


def assert_conserved(values):
    """The energy with that of the thermostat, beside fluctuations of the potential."""
    assert np.ptp(values["conserved"]) < 0.1 * np.ptp(values["potential"])


def results(folder, name):
    """Properties of a run, which began at the structure with the energy of ASE."""
    values, _ = read_output(folder / f"{name}.out")
    assert values["step"].tolist() == list(range(0, 101, 5))
    start = ase.io.read(folder / "ethanol.xyz")
    assert values["potential"][0] == pytest.approx(
        energies(folder, [start])[0], abs=DIGITS
    )
    return values


@pytest.mark.parametrize("mode", ["unix", "inet"])
def test_langevin_dynamics(example, mode):
    server = arguments_of(example / "README.md", "i-pi")[0]
    driver, inet_driver, _ = arguments_of(example / "README.md", "i-pi-driver-py")
    if mode == "unix":
        run_over_unix_socket(example, server, driver)
    else:
        inputs = example / "ipi-nvt.xml"
        text = inputs.read_text().replace("mode='unix'", "mode='inet'")
        address = f"<address>localhost</address><port>{PORT}</port>"
        inputs.write_text(text.replace("<address>ethanol</address>", address))
        run_over_inet_socket(example, server, inet_driver)

    values = results(example, "ipi-nvt")
    frames = ase.io.read(example / "ipi-nvt.pos_0.extxyz", ":")
    assert len(frames) == 21
    np.testing.assert_allclose(
        values["potential"], energies(example, frames), atol=DIGITS, rtol=0
    )
    assert_conserved(values)


def test_path_integrals(example):
    server = arguments_of(example / "README.md", "i-pi")[1]
    driver = arguments_of(example / "README.md", "i-pi-driver-py")[1]
    run_over_inet_socket(example, server, driver)

    values = results(example, "ipi-pimd")
    beads = [
        energies(example, ase.io.read(example / f"ipi-pimd.pos_{bead}.extxyz", ":"))
        for bead in range(8)
    ]
    np.testing.assert_allclose(
        values["potential"], np.mean(beads, axis=0), atol=DIGITS, rtol=0
    )
    assert_conserved(values)
    classical = 1.5 * len(ase.io.read(example / "ethanol.xyz")) * ase.units.kB * 300
    second_half = values["kinetic_cv"][len(values["kinetic_cv"]) // 2 :]
    assert second_half.mean() > 2 * classical  # zero-point motion, mostly of hydrogen


def test_dipoles_of_ions(example):
    """The driver for tensors gives them, and charge and spin of the template."""
    targets = {
        "energy": target(sample_kind="system", unit="eV"),
        "mtt::mu": cartesian(1, sample_kind="system", unit="e*A"),
    }
    inputs = ["charge", "spin_multiplicity"]
    model = make_model(targets, system_inputs=inputs).export()
    for name in ("ethanol.pt", "qm7x.pt"):
        (example / name).unlink()
        model.save(example / name)
    ion = ase.io.read(example / "ethanol.xyz")
    ion.info = {"charge": 1, "spin_multiplicity": 2}
    ase.io.write(example / "ethanol.xyz", ion)

    path = example / "ipi-nvt.xml"
    [(_, line)] = blocks(example / "README.md", "xml")
    text = path.read_text().replace("</output>", f"{line}</output>")
    path.write_text(text.replace(">100<", ">10<"))  # steps, with an untrained model
    server = arguments_of(example / "README.md", "i-pi")[2]
    driver = arguments_of(example / "README.md", "i-pi-driver-py")[2]
    run_over_unix_socket(example, server, driver)

    values, _ = read_output(example / "ipi-nvt.out")
    dipoles = np.loadtxt(example / "ipi-nvt.mu_0")
    frames = ase.io.read(example / "ipi-nvt.pos_0.extxyz", ":")
    calculator = TensorCalculator(model, dipole="mtt::mu")
    for frame, energy, dipole in zip(frames, values["potential"], dipoles, strict=True):
        frame.info.update(ion.info)
        frame.calc = calculator
        assert energy == pytest.approx(frame.get_potential_energy(), abs=DIGITS)
        np.testing.assert_allclose(dipole, frame.get_dipole_moment(), atol=DIGITS)
