"""metatrain's own tests of an architecture, on data of this repository."""

from pathlib import Path

import pytest
from metatrain.utils.architectures import get_default_hypers
from metatrain.utils.testing import (
    ArchitectureTests,
    AutogradTests,
    CheckpointTests,
    ExportedTests,
    InputTests,
    OutputTests,
    TorchscriptTests,
    TrainingTests,
)

from files import ETHANOL


DEFAULTS = get_default_hypers("experimental.scalar_tensor")["model"]
NUM_FEATURES = DEFAULTS["network"]["num_neurons_per_layer"]
HERE = Path(__file__).parent


class ScalarTensorTests(ArchitectureTests):
    architecture = "experimental.scalar_tensor"

    @pytest.fixture(autouse=True)
    def working_folder(self, monkeypatch, tmp_path):
        """The checkpoint tests read and write in the current folder."""
        (tmp_path / "checkpoints").symlink_to(HERE / "checkpoints")
        monkeypatch.chdir(tmp_path)

    @pytest.fixture
    def dataset_path(self):
        return str(ETHANOL)

    @pytest.fixture
    def dataset_targets(self, dataset_path):
        energy = {
            "quantity": "energy",
            "read_from": dataset_path,
            "reader": "ase",
            "key": "energy",
            "unit": "kcal/mol",
            "type": "scalar",
            "sample_kind": "system",
            "num_subtargets": 1,
            "forces": False,
            "stress": False,
            "virial": False,
        }
        return {"energy": energy}

    @pytest.fixture
    def minimal_model_hypers(self):
        hypers = get_default_hypers(self.architecture)["model"]
        hypers["expansion"]["basis"]["max_angular"] = 1
        hypers["expansion"]["basis"]["radial"]["max_radial"] = 0
        hypers["network"]["num_neurons_per_layer"] = 1
        hypers["network"]["num_hidden_layers"] = 1
        hypers["tensor_basis"]["num_channels"] = 1
        return hypers


class TestInput(InputTests, ScalarTensorTests):
    pass


class TestOutput(OutputTests, ScalarTensorTests):
    @pytest.fixture
    def n_features(self):
        return NUM_FEATURES

    @pytest.fixture
    def n_last_layer_features(self):
        return NUM_FEATURES


class TestAutograd(AutogradTests, ScalarTensorTests):
    pass


class TestTorchscript(TorchscriptTests, ScalarTensorTests):
    float_hypers = [
        "expansion.cutoff.radius",
        "expansion.density.scaling.scale",
        "expansion.density.scaling.exponent",
    ]


class TestExported(ExportedTests, ScalarTensorTests):
    pass


class TestTraining(TrainingTests, ScalarTensorTests):
    pass


class TestCheckpoints(CheckpointTests, ScalarTensorTests):
    pass
