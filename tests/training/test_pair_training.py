"""Training on targets of pairs, with data of a teacher: a model with other weights."""

import logging

import ase
import ase.build
import ase.io
import numpy as np
import pytest
import torch
from metatensor.torch import Labels, TensorBlock, TensorMap, save
from metatomic.torch import ModelOutput, systems_to_torch
from metatrain.utils.data.writers import DiskDatasetWriter
from metatrain.utils.io import load_model
from omegaconf import OmegaConf

from atom_pairs import (
    BASIS,
    PAIR_TARGETS,
    matrices,
    model_of_pairs,
    outputs,
    product,
)
from helpers import molecules, prepare, target
from metatrain_scalar_tensor import ScalarTensor
from metatrain_scalar_tensor.interface.pair_targets import get_pair_targets_transform
from metatrain_scalar_tensor.training.traces import TraceSupervision
from options import train_in, write_options


FRAMES = molecules(12)
HAMILTONIAN = {
    "mtt::onsite": product(BASIS, "coupled", "atom"),
    "mtt::offsite": product(BASIS, "coupled"),
}


pytestmark = pytest.mark.usefixtures("in_temporary_folder")


def data_of_a_teacher(targets, frames=FRAMES):
    """What a model with other weights says of every molecule."""
    teacher = model_of_pairs(targets, seed=7)
    with torch.no_grad():
        return [outputs(teacher, [frame], targets) for frame in frames]


def train(folder, read_from, targets, restart_from=None, **changes):
    """A run in a folder of its own; returns the checkpoint."""
    options = write_options(validation_set=0.25, test_set=0.1)
    options.training_set.systems.read_from = str(read_from["systems"])
    options.training_set.targets = {
        name: {**info, "key": name, "read_from": str(read_from[name])}
        for name, info in targets.items()
    }
    options.architecture.model.atom_pairs = {"cutoff": 4.0, "num_channels": 2}
    options.architecture.training.learning_rate = 0.01
    for path, value in changes.items():
        OmegaConf.update(options, path.replace("__", "."), value, merge=True)
    return train_in(folder, options, restart_from=restart_from)


def write_zip(path, targets, frames=FRAMES):
    writer = DiskDatasetWriter(path)
    for frame, data in zip(frames, data_of_a_teacher(targets, frames)):
        writer.write([systems_to_torch(frame, dtype=torch.float64)], data)
    writer.finish()
    return {name: path for name in ["systems", *targets]}


@pytest.fixture(scope="module")
def hamiltonian(tmp_path_factory):
    """Files of the structures and the targets."""
    return write_zip(tmp_path_factory.mktemp("data") / "data.zip", HAMILTONIAN)


@pytest.fixture(scope="module")
def trained(hamiltonian, tmp_path_factory):
    """A folder with a training, and its checkpoint."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    return folder, train(folder, hamiltonian, HAMILTONIAN)


def test_hamiltonian_is_learned(hamiltonian, tmp_path):
    """On-site and off-site blocks of an atomic basis in one model."""
    changes = {
        "architecture__training__num_epochs": 30,
        "architecture__model__network__num_neurons_per_layer": 32,
    }
    checkpoint = train(tmp_path / "run", hamiltonian, HAMILTONIAN, **changes)
    assert checkpoint["best_metric"] < 0.5 * untrained(tmp_path, hamiltonian)
    scale = checkpoint["model_state_dict"][
        "baseline.pair_scales.of_target.mtt::offsite.scale"
    ]
    assert 0 < scale < 1  # the data's root mean square


def untrained(tmp_path, read_from):
    training = {
        "architecture__training__num_epochs": 1,
        "architecture__training__learning_rate": 1e-9,
    }
    return train(tmp_path / "untrained", read_from, HAMILTONIAN, **training)[
        "best_metric"
    ]


def write_mts(folder, name, tensors, order):
    """All structures in one file, the pairs of each in an order of their own."""
    blocks = []
    for key in tensors[0].keys:
        values, samples = [], []
        for number, tensor in enumerate(tensors):
            block = tensor.block(key)
            rows = order(len(block.values))
            values.append(block.values[rows])
            samples.append(block.samples.values[rows].clone())
            samples[-1][:, 0] = number
        samples = Labels(block.samples.names, torch.cat(samples))
        blocks.append(
            TensorBlock(torch.cat(values), samples, block.components, block.properties)
        )
    folder.mkdir()
    save(str(folder / "pairs.mts"), TensorMap(tensors[0].keys, blocks))
    ase.io.write(folder / "systems.xyz", [ase.Atoms(f) for f in FRAMES])
    return {"systems": folder / "systems.xyz", name: folder / "pairs.mts"}


@pytest.mark.parametrize("cache_memory", [2.0, 0.0])
def test_order_of_the_pairs_does_not_matter(tmp_path, cache_memory):
    name = "mtt::tensor"
    targets = {name: PAIR_TARGETS[name]}
    tensors = [data[name] for data in data_of_a_teacher(targets)]
    rng = np.random.default_rng(0)
    orders = {
        "same": torch.arange,
        "random": lambda n: torch.tensor(rng.permutation(n)),
    }
    weights = []
    for order, rows in orders.items():
        read_from = write_mts(tmp_path / order, name, tensors, rows)
        checkpoint = train(
            tmp_path / f"run_{order}",
            read_from,
            targets,
            architecture__training__cache_memory=cache_memory,
        )
        weights.append(checkpoint["model_state_dict"])
    learned = [name for name in weights[0] if name.startswith("model.")]
    assert any("atom_pairs." in name for name in learned)
    for name in learned:
        torch.testing.assert_close(
            weights[0][name], weights[1][name], rtol=1e-9, atol=1e-12
        )


@pytest.mark.parametrize("name", ["mtt::onsite", "mtt::offsite"])
def test_matrices_without_the_symmetry_of_the_model_are_refused(
    name, tmp_path, monkeypatch
):
    """And taken by a model without it."""
    teacher = data_of_a_teacher

    def asymmetric(*arguments):
        data = teacher(*arguments)
        for structure in data:
            for key, block in structure[name].items():
                if int(key["o3_lambda"]) == 1:
                    block.values[:] = torch.randn(block.values.shape)
        return data

    monkeypatch.setitem(globals(), "data_of_a_teacher", asymmetric)
    read_from = write_zip(tmp_path / "data.zip", HAMILTONIAN)
    with pytest.raises(Exception, match=f"'{name}' of structure .* under exchange"):
        train(tmp_path / "refused", read_from, HAMILTONIAN)
    train(
        tmp_path / "taken",
        read_from,
        HAMILTONIAN,
        architecture__model__exchange_symmetry={n: "none" for n in HAMILTONIAN},
    )


def test_scales_of_pairs_can_not_be_fixed(hamiltonian, tmp_path):
    weights = {"mtt::offsite": 2.0}
    with pytest.raises(Exception, match=r"\['mtt::offsite'\] of pairs of atoms.*take"):
        train(
            tmp_path / "run",
            hamiltonian,
            HAMILTONIAN,
            architecture__training__fixed_scaling_weights=weights,
        )


def test_pairs_that_the_data_lack_are_not_learned(tmp_path):
    """Half of the pairs, with absurd values where they are thrown away."""
    model = model_of_pairs({"y": PAIR_TARGETS["mtt::vector"]})
    systems = prepare(model, FRAMES[:2])
    tensors = outputs(model, FRAMES[:2], ["y"])
    block = tensors["y"].block()
    rows = torch.arange(0, len(block.values), 2)
    far = torch.tensor([[0, 0, 1, 5, 5, 5]])  # not in the neighbor list
    samples = torch.cat([block.samples.values[rows], far])
    values = torch.cat([block.values[rows], torch.full((1, 3, 1), 1e6).double()])
    lacking = TensorBlock(
        values,
        Labels(block.samples.names, samples[torch.argsort(samples[:, 0], stable=True)]),
        block.components,
        block.properties,
    )
    values[:] = values[torch.argsort(samples[:, 0], stable=True)]
    transform = get_pair_targets_transform(
        model.dataset_info.targets, model.model.atom_pairs.neighbor_list
    )
    _, targets, _ = transform(
        systems, {"y": TensorMap(tensors["y"].keys, [lacking])}, {}
    )
    found = targets["y"].block()
    assert found.samples == block.samples
    assert torch.equal(found.values[::2], block.values[::2])
    assert found.values[1::2].isnan().all()


def test_structures_that_can_not_be_told_apart():
    model = model_of_pairs({"y": PAIR_TARGETS["mtt::vector"]})
    systems = prepare(model, FRAMES[:2])
    of_one = outputs(model, FRAMES[:1], ["y"])
    transform = get_pair_targets_transform(
        model.dataset_info.targets, model.model.atom_pairs.neighbor_list
    )
    with pytest.raises(ValueError, match="pairs of 1 of 2 structures"):
        transform(systems, of_one, {})


def test_trained_matrices_are_hermitian(tmp_path):
    """Also where only one order of every pair was in the data."""
    name = "mtt::cartesian"
    targets = {name: PAIR_TARGETS[name]}
    tensors = [data[name] for data in data_of_a_teacher(targets)]

    def in_one_order(number):  # the neighbor list has both after each other
        return torch.arange(0, number, 2)

    read_from = write_mts(tmp_path / "data", name, tensors, in_one_order)
    changes = {"architecture__training__solve_heads": True}
    train(tmp_path / "run", read_from, targets, **changes)
    model = load_model(tmp_path / "run" / "model.ckpt").double().eval()
    found = matrices(outputs(model, FRAMES[:2], [name])[name])
    for (s, i, j, a, b, c, l1, l2, n1, n2), matrix in found.items():
        opposite = found[s, j, i, -a, -b, -c, l2, l1, n2, n1].T
        torch.testing.assert_close(matrix, opposite, rtol=0, atol=1e-14)


def test_checkpoint_has_the_scales(trained):
    folder, whole = trained
    first = load_model(folder / "model.ckpt")
    scale = first.baseline.pair_scales.of_target["mtt::offsite"]
    assert scale.is_fitted
    assert torch.equal(
        scale.scale,
        whole["model_state_dict"]["baseline.pair_scales.of_target.mtt::offsite.scale"],
    )
    systems = prepare(first, FRAMES[:1])
    wanted = {"mtt::offsite": ModelOutput(sample_kind="atom_pair")}
    trained = first.double().eval()(systems, wanted)["mtt::offsite"]
    again = ScalarTensor.load_checkpoint(whole, "export").double().eval()
    for key, block in again(systems, wanted)["mtt::offsite"].items():
        assert torch.equal(block.values, trained.block(key).values)


TRACES = "architecture__training__trace_supervision"


def test_trace_supervision(hamiltonian, trained, tmp_path):
    """Another loss, so other weights; nothing of it is left in the model."""
    checkpoint = train(
        tmp_path / "run", hamiltonian, HAMILTONIAN, **{TRACES: {"weight": 1.0}}
    )
    without, with_traces = [
        state["model_state_dict"] for state in (trained[1], checkpoint)
    ]
    assert without.keys() == with_traces.keys()
    name = "model.readouts.atom_pair.heads.mtt::offsite.hidden.0.weight"
    assert not torch.allclose(without[name], with_traces[name])
    assert len(checkpoint["trainer_state"]["traces"]) > 0


def test_trace_supervision_restarts_exactly(hamiltonian, tmp_path):
    changes = {
        f"{TRACES}__weight": 1.0,
        f"{TRACES}__schedule": "constant",
        "architecture__training__checkpoint_interval": 1,
    }
    whole = train(tmp_path / "whole", hamiltonian, HAMILTONIAN, **changes)
    again = train(
        tmp_path / "again",
        hamiltonian,
        HAMILTONIAN,
        restart_from=tmp_path / "whole" / "model_0.ckpt",
        **changes,
    )
    for key, values in whole["trainer_state"]["traces"].items():
        assert torch.equal(values, again["trainer_state"]["traces"][key])
    for key, values in whole["model_state_dict"].items():
        if key.startswith("atom_pairs."):
            assert torch.equal(values, again["model_state_dict"][key])


def test_labels_of_trace_supervision():
    """With a readout of zero, the loss is the mean square of the traces."""
    model = model_of_pairs({"y": PAIR_TARGETS["mtt::cartesian"]}).train()
    hypers = {"weight": 2.0, "schedule": "linear", "targets": None}
    traces = TraceSupervision(model, hypers).double()
    for parameter in traces.parameters():
        parameter.data.zero_()
    with traces.watching():
        values = outputs(model, FRAMES[:1], ["y"])
        loss = traces.loss(values, 0.25)
    expected = 0.0
    for block in values["y"].blocks():
        squares = torch.einsum("sijp,sijp->sp", block.values, block.values)
        num_components = block.values.shape[1] * block.values.shape[2]
        expected += (squares / num_components).pow(2).mean()
    torch.testing.assert_close(loss, 2.0 * 0.75 * expected)
    assert len(model.model.heads()["y"].hidden._forward_hooks) == 0


def test_trace_supervision_of_a_structure():
    model = model_of_pairs({"y": target(sample_kind="system")})
    hypers = {"weight": 1.0, "schedule": "linear", "targets": None}
    with pytest.raises(ValueError, match="needs targets of atoms or of pairs"):
        TraceSupervision(model, hypers)


def rattled(name, seeds):
    """A molecule with other positions for every seed."""
    frames = [ase.build.molecule(name) for _ in seeds]
    for frame, seed in zip(frames, seeds, strict=True):
        frame.rattle(0.1, seed=seed)
    return frames


def test_pairs_that_the_data_lack_are_zero(tmp_path, caplog):
    """A model of water, with one oxygen in every structure, and peroxide."""
    name = "mtt::tensor"
    targets = {name: PAIR_TARGETS[name]}
    read_from = write_zip("water.zip", targets, rattled("H2O", range(8)))
    solve = {"architecture__training__num_epochs": 0}
    train(tmp_path / "run", read_from, targets, **solve)
    assert "the pairs O-O: predictions for these are zero" in caplog.text
    model = load_model(tmp_path / "run" / "model.ckpt").double().eval()
    peroxide = ase.build.molecule("H2O2")
    block = outputs(model, [peroxide], [name])[name].block()
    types = torch.tensor(peroxide.numbers)[block.samples.values[:, 1:3].long()]
    is_lacking = (types == 8).all(1)
    assert is_lacking.sum() == 2
    assert (block.values[is_lacking] == 0).all()
    assert (block.values[~is_lacking].abs().amax((1, 2, 3)) > 1e-6).all()


def test_pairs_that_come_late_are_solved(tmp_path, caplog):
    """The memory of the equations is planned by the first batches, without O-O."""
    name = "mtt::tensor"
    targets = {name: PAIR_TARGETS[name]}
    frames = rattled("H2O", range(17)) + rattled("H2O2", range(17, 20))
    read_from = write_zip("water.zip", targets, frames)
    changes = {"num_epochs": 0, "batch_size": 1, "solve_heads": True}
    changes = {f"architecture__training__{key}": x for key, x in changes.items()}
    with caplog.at_level(logging.INFO):
        train(tmp_path / "run", read_from, targets, **changes)
    symmetries = ["lambda_0_sigma_1", "lambda_1_sigma_-1", "lambda_2_sigma_1"]
    for symmetry in symmetries:  # H-H, H-O, O-H, O-O
        assert caplog.text.count(f"Solved for '{name}', {symmetry}") == 4
