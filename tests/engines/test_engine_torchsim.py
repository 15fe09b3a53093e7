"""The example of TorchSim, in an environment of its own: it needs Python 3.12."""

import os
import shutil
import subprocess

import ase
import h5py
import numpy as np
import pytest
from metatomic.torch import ModelOutput
from metatomic_ase import MetatomicCalculator

from files import ETHANOL
from processes import without_pythonpath


REASON = (
    "no Python >= 3.12 with metatomic-torchsim and ase: make an environment with "
    "`python3.12 -m venv torchsim`, `torchsim/bin/pip install torch==2.13.0 (a build "
    "for the CPU is enough) metatomic-torchsim ase`, and set PYTHON312 to its python"
)


@pytest.fixture(scope="session")
def python312():
    """A Python that has TorchSim."""
    candidates = [os.environ.get("PYTHON312"), "python3.12", "python3.13"]
    for name in candidates:
        path = shutil.which(name) if name else None
        if (
            path is not None
            and not subprocess.run(
                [path, "-c", "import metatomic_torchsim, ase"],
                env=without_pythonpath(),
                stderr=subprocess.DEVNULL,
            ).returncode
        ):
            return path
    pytest.skip(REASON)


@pytest.mark.parametrize("ensemble", ["nve", "nvt"])
def test_several_molecules_at_once(python312, example, ensemble):
    """Energies, forces and dipoles along the way are those of ASE."""
    subprocess.check_call(
        [python312, "torchsim.py", ETHANOL, "--ensemble", ensemble]
        + ["--number", "5", "--atoms", "27"]  # batches of three and of two molecules
        + ["--steps", "100", "--outputs", "mtt::mu"],
        cwd=example,
        env=without_pythonpath(),
    )
    request = {"mtt::mu": ModelOutput(sample_kind="system")}
    calculator = MetatomicCalculator(example / "ethanol.pt")
    for i in range(5):
        with h5py.File(example / f"torchsim-{i}.h5") as file:
            data = {name: values[:] for name, values in file["data"].items()}
        frames = [ase.Atoms(data["atomic_numbers"][0], x) for x in data["positions"]]
        assert len(frames) == 11
        expected = calculator.compute_energy(frames, compute_forces_and_stresses=True)
        dipoles = calculator.run_model(frames, request)["mtt::mu"].block().values
        np.testing.assert_allclose(
            data["energy"][:, 0], expected["energy"], atol=1e-9, rtol=0
        )
        np.testing.assert_allclose(data["forces"], expected["forces"], atol=1e-9)
        np.testing.assert_allclose(data["mu"][:, 0], dipoles[..., 0], atol=1e-9)
        if ensemble == "nve":
            fluctuation = np.ptp(data["total_energy"]) / np.ptp(data["energy"])
            assert fluctuation < 0.05
