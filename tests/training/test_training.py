"""Real training runs."""

import logging
import math

import ase.io
import numpy as np
import pytest
import torch
from ase.calculators.singlepoint import SinglePointCalculator
from metatomic.torch import load_atomistic_model
from metatomic_ase import MetatomicCalculator
from metatrain.cli.train import train_model
from metatrain.utils.data.target_info import get_energy_target_info
from metatrain.utils.errors import ArchitectureError
from metatrain.utils.evaluate_model import evaluate_model
from metatrain.utils.io import load_model
from omegaconf import OmegaConf

from files import DATA, ETHANOL
from helpers import assert_same, make_model, molecules, predict, prepare, spherical
from metatrain_scalar_tensor.training.averaging import WeightAverage
from metatrain_scalar_tensor.training.schedule import warmup_cosine
from options import train_in, write_options
from processes import free_port, train_as_two_tasks


pytestmark = pytest.mark.usefixtures("in_temporary_folder")


@pytest.mark.parametrize(
    "intensive, optimizer", [({}, "Muon"), ({"mtt::alpha": "volume"}, "Adam")]
)
def test_restart_is_exact(intensive, optimizer, tmp_path):
    """An interrupted and restarted run gives the same bits as an uninterrupted one."""
    frames = molecules(20)
    for i, frame in enumerate(frames):
        frame.set_cell([8.0 + 0.1 * i] * 3)
        frame.pbc = True
    ase.io.write("data.xyz", frames)
    options = write_options(
        systems="data.xyz",
        architecture__model__intensive=intensive,
        architecture__training={
            "num_epochs": 4,
            "checkpoint_interval": 1,
            "ema_decay": 0.9,
            "solve_heads": True,
            "optimizer": optimizer,
        },
    )
    whole = train_in(tmp_path / "whole", options)
    restarted = train_in(
        tmp_path / "restarted",
        options,
        restart_from=tmp_path / "whole" / "model_1.ckpt",
    )
    assert whole["epoch"] == restarted["epoch"] == 3
    for key in whole:
        if key.endswith(("state_dict", "state", "epoch", "metric", "seed")):
            assert_same(whole[key], restarted[key], key)


def test_a_restart_has_the_learning_rate_of_its_options(tmp_path):
    """Also if it has a further target, from the same place in the schedule on."""
    options = write_options(
        architecture__training={
            "num_epochs": 4,
            "checkpoint_interval": 1,
            "learning_rate": 1e-3,
            "warmup_fraction": 0.0,
        },
    )
    alpha = options.training_set.targets.pop("mtt::alpha")
    whole = train_in(tmp_path / "whole", options)
    first = tmp_path / "whole" / "model_1.ckpt"
    last = whole["trainer_state"]["scheduler"]

    options.architecture.training.learning_rate = 1e-4
    restarted = train_in(tmp_path / "lower", options, restart_from=first)
    scheduler = restarted["trainer_state"]["scheduler"]
    assert scheduler["last_epoch"] == last["last_epoch"]
    assert scheduler["base_lrs"] == [1e-4] and last["base_lrs"] == [1e-3]
    of_both = [c["model_state_dict"] for c in (whole, restarted)]
    name = next(n for n in of_both[0] if n.endswith("coefficients.weight"))
    assert not torch.equal(*(state[name] for state in of_both))

    options.training_set.targets["mtt::alpha"] = alpha
    restarted = train_in(tmp_path / "further", options, restart_from=first)
    scheduler = restarted["trainer_state"]["scheduler"]
    assert scheduler["last_epoch"] == last["last_epoch"]

    options.architecture.training.optimizer = "Muon"
    del options.training_set.targets["mtt::alpha"]
    with pytest.raises(
        ArchitectureError, match="with the optimizer Adam, and can't go"
    ):
        train_in(
            tmp_path / "other", options, restart_from=tmp_path / "lower/model.ckpt"
        )


PREPARED = {
    "tensors": {},
    "energy with gradients": {
        "training_set__targets": {
            "energy": {"key": "energy", "unit": "eV", "forces": {"key": "forces"}},
        }
    },
    "messages": {
        "architecture__model__messages__layers": 1,
        "architecture__model__expansion__basis__radial__type": "Bessel",
        "architecture__training__optimizer": "Muon",
    },
    "tensor-reduced": {"architecture__model__species__type": "tensor_reduced"},
    "charge": {
        "architecture__model__system_inputs": ["charge"],
        "training_set__extra_data": {"charge": {"key": "charge"}},
    },
    "packed batches": {"architecture__training__max_atoms_per_batch": 60},
}


@pytest.mark.parametrize("changes", PREPARED.values(), ids=PREPARED)
def test_training_from_memory_is_the_same(changes, tmp_path, caplog):
    """Batches that are kept in memory equal those that are prepared in every epoch."""
    caplog.set_level(logging.INFO)
    frames = molecules(12)
    rng = np.random.default_rng(0)
    for i, frame in enumerate(frames):
        frame.info["charge"] = i % 2
        forces = rng.normal(size=frame.positions.shape)
        frame.calc = SinglePointCalculator(frame, energy=rng.normal(), forces=forces)
    frames[3].info["mu"] = np.full(3, np.nan)
    ase.io.write("data.xyz", frames)
    results = []
    for memory in (0.0, 1e-5, 1.0):
        options = write_options(systems="data.xyz", validation_set=0.2, test_set=0.0)
        for path, value in changes.items():
            OmegaConf.update(options, path.replace("__", "."), value, merge=False)
        options.architecture.training.update(cache_memory=memory, solve_heads=True)
        results.append(train_in(tmp_path / str(memory), options))
        # 10 kB is enough for none of the sets
        assert ("does not fit into 'cache_memory'" in caplog.text) == (memory == 1e-5)
        caplog.clear()
    for result in results[1:]:
        assert result["best_metric"] == pytest.approx(results[0]["best_metric"])
        for name, weights in results[0]["model_state_dict"].items():
            if not name.startswith("baseline"):
                torch.testing.assert_close(result["model_state_dict"][name], weights)


def test_best_epoch_is_exported(tmp_path):
    """The metric that selected the epoch is the error of the exported model."""
    checkpoint = train_in(
        tmp_path / "run",
        write_options(
            architecture__training={
                "num_epochs": 6,
                "best_model_metric": "rmse_prod",
                "solve_heads": True,
            }
        ),
    )
    model = load_model(tmp_path / "run" / "model.ckpt").double().eval()
    state = checkpoint["best_model_state_dict"]
    for name, value in model.state_dict().items():
        if name in state and value.is_floating_point():
            assert torch.equal(value, state[name].to(value)), name

    indices = np.loadtxt(tmp_path / "run" / "indices" / "validation.txt", dtype=int)
    frames = ase.io.read(DATA / "qm7x_train.xyz", ":")
    frames = [frames[i] for i in indices]
    product = 1.0
    for name, key in (("mtt::mu", "mu"), ("mtt::alpha", "alpha")):
        values = predict(model, frames, [name], "system")[name].block().values
        errors = [
            (v.flatten().detach().numpy() - frame.info[key].flatten()) / len(frame)
            for v, frame in zip(values, frames)
        ]
        product *= np.sqrt(np.mean(np.array(errors) ** 2))
    assert checkpoint["best_metric"] == pytest.approx(product, rel=1e-6)


def test_loss_weights_are_those_of_the_options(tmp_path):
    """A target of weight zero does not change its coefficients."""
    loss = {
        "mtt::mu": {"type": "mse", "weight": 1.0},
        "mtt::alpha": {"type": "huber", "weight": 0.0, "delta": 1.0},
    }
    before = train_in(
        tmp_path / "before", write_options(architecture__training={"num_epochs": 0})
    )["model_state_dict"]
    after = train_in(
        tmp_path / "after", write_options(architecture__training__loss=loss)
    )["model_state_dict"]

    def changed(target):
        prefixes = [f"heads.{target}.{part}." for part in ("coefficients", "blocks")]
        names = [n for n in before if any(prefix in n for prefix in prefixes)]
        names = [name for name in names if "members" not in name]
        assert len(names) > 0
        return [not torch.equal(before[name], after[name]) for name in names]

    assert all(changed("mtt::mu"))
    assert not any(changed("mtt::alpha"))


def test_missing_values_are_left_out(tmp_path):
    """Half of the dipoles are missing, and the others are learned nevertheless."""
    frames = molecules(40)
    for frame in frames[::2]:
        frame.info["mu"] = np.full(3, np.nan)
    ase.io.write("data.xyz", frames)
    options = write_options(
        systems="data.xyz",
        architecture__training={
            "num_epochs": 20,
            "learning_rate": 0.01,
            "solve_heads": True,
        },
        validation_set=0.1,
        test_set=0.1,
        final_eval=True,
    )
    train_in(tmp_path / "run", options)
    model = load_model(tmp_path / "run" / "model.ckpt").double().eval()
    present = frames[1::2]
    values = predict(model, present, ["mtt::mu"], "system")["mtt::mu"].block().values
    reference = torch.tensor(np.array([frame.info["mu"] for frame in present]))
    error = (values[:, :, 0] - reference).pow(2).mean().sqrt()
    assert error < 0.7 * reference.pow(2).mean().sqrt()


def test_validation_set_without_values_of_a_target(tmp_path):
    frames = molecules(20)
    ase.io.write("train.xyz", frames)
    for frame in frames:
        frame.info["mu"] = np.full(3, np.nan)
    ase.io.write("validation.xyz", frames)
    options = write_options(
        systems="train.xyz", test_set=0.0, architecture__training__solve_heads=True
    )
    validation = OmegaConf.to_container(options.training_set)
    validation["systems"]["read_from"] = "validation.xyz"
    options.validation_set = validation
    checkpoint = train_in(tmp_path / "run", options)
    assert math.isfinite(checkpoint["best_metric"])


def test_batches_by_number_of_atoms_loaded_by_other_processes(tmp_path):
    options = write_options(
        architecture__training={"max_atoms_per_batch": 60, "num_workers": 2}
    )
    checkpoint = train_in(tmp_path / "run", options)
    steps = checkpoint["trainer_state"]["optimizer"]["state"][0]["step"]
    assert steps >= 2 * 2  # epochs, batches


def test_logs_mae_and_blocks(tmp_path, caplog):
    caplog.set_level("INFO")
    options = write_options(
        architecture__training={
            "log_mae": True,
            "log_separate_blocks": True,
            "best_model_metric": "mae_prod",
        }
    )
    options.training_set.targets = {
        "mtt::alpha": {
            "key": "mu",
            "type": {"spherical": {"irreps": [{"o3_lambda": 1, "o3_sigma": 1}]}},
        }
    }
    train_in(tmp_path / "run", options)
    assert "mtt::alpha (o3_lambda=1,o3_sigma=1) MAE" in caplog.text
    assert "mtt::alpha (o3_lambda=1,o3_sigma=1) RMSE" in caplog.text


def test_energies_with_forces_and_virial(tmp_path):
    """Training lowers the errors of energies and of both kinds of gradients."""
    options = write_options(systems=DATA / "carbon_reduced_100.xyz")
    options.training_set.targets = {
        "energy": {
            "key": "energy",
            "unit": "eV",
            "forces": {"key": "force"},
            "virial": {"key": "virial"},
        }
    }
    options.test_set = 0.5
    options.architecture.training.num_epochs = 0
    before = train_in(tmp_path / "before", options)
    options.architecture.training.num_epochs = 40
    options.architecture.training.learning_rate = 0.01
    after = train_in(tmp_path / "after", options)
    assert before["best_metric"] == float("inf")
    assert after["best_epoch"] > 0

    targets = {
        "energy": get_energy_target_info(
            "energy",
            {"unit": "eV"},
            add_position_gradients=True,
            add_strain_gradients=True,
        )
    }
    frames = ase.io.read(DATA / "carbon_reduced_100.xyz", ":10")
    errors = {}
    for name in ("before", "after"):
        model = load_model(tmp_path / name / "model.ckpt").eval()
        systems = prepare(model, frames)
        energy = evaluate_model(model, systems, targets, is_training=False)["energy"]
        forces = -energy.block().gradient("positions").values[:, :, 0].detach().numpy()
        virial = -energy.block().gradient("strain").values[:, :, :, 0].detach().numpy()
        errors[name] = (
            np.abs(forces - np.concatenate([f.arrays["force"] for f in frames])).mean(),
            np.abs(virial - [f.info["virial"].reshape(3, 3) for f in frames]).mean(),
        )
    assert errors["after"][0] < 0.8 * errors["before"][0]
    assert errors["after"][1] < 0.8 * errors["before"][1]


@pytest.mark.parametrize(
    "species, engine", [("orthogonal", "torch"), ("tensor_reduced", "featomic")]
)
def test_exported_model_is_the_trained_one(tmp_path, species, engine):
    """With everything that can be switched on, through TorchScript and a file."""
    options = write_options(
        systems=DATA / "carbon_reduced_100.xyz",
        architecture__model={
            "engine": engine,
            "zbl": True,
            "long_range": {"enable": True},
            "species": {"type": species},
        },
        architecture__training__solve_heads=True,
    )
    options.training_set.targets = {
        "energy": {"key": "energy", "unit": "eV", "forces": {"key": "force"}}
    }
    train_in(tmp_path / "run", options, extensions=tmp_path / "extensions")
    model = load_model(tmp_path / "run" / "model.ckpt").eval()
    frames = ase.io.read(DATA / "carbon_reduced_100.xyz", ":3")
    expected = predict(model, frames, ["energy"], "system")["energy"].block().values
    calculator = MetatomicCalculator(
        tmp_path / "run" / "model.pt", extensions_directory=tmp_path / "extensions"
    )
    for frame, energy in zip(frames, expected):
        exported = calculator.get_potential_energy(frame)
        assert exported == pytest.approx(energy.item(), rel=1e-9)


@pytest.fixture(scope="module")
def trained_model(tmp_path_factory):
    """Dipoles and polarizabilities, and the checkpoint of it."""
    folder = tmp_path_factory.mktemp("before") / "run"
    return folder / "model.ckpt", train_in(folder, write_options())


def test_finetuning_starts_from_the_trained_weights(trained_model, tmp_path):
    path, trained = trained_model
    options = write_options(
        architecture__training={"num_epochs": 0, "finetune": {"read_from": str(path)}}
    )
    options.training_set.targets["mtt::new"] = {
        "key": "mu",
        "type": {"spherical": {"irreps": [{"o3_lambda": 1, "o3_sigma": 1}]}},
    }
    finetuned = train_in(tmp_path / "finetuned", options)
    state = finetuned["model_state_dict"]
    assert any("heads.mtt::new" in name for name in state)
    for name, value in trained["best_model_state_dict"].items():
        if name.startswith("model"):
            assert torch.equal(value, state[name]), name


def options_of_shieldings(**finetune):
    """Data that have none of the old targets."""
    options = write_options(systems=DATA / "shieldings.xyz")
    options.architecture.training = {
        "num_epochs": 2,
        "num_workers": 0,
        "finetune": finetune,
    }
    options.training_set.targets = {
        "mtt::shielding": {
            "key": "shielding",
            "sample_kind": "atom",
            "type": {"cartesian": {"rank": 2}},
        }
    }
    return options


def test_finetuning_to_data_without_the_old_targets(trained_model, tmp_path, caplog):
    """They stay in the model; what they were fitted with does not change."""
    path, trained = trained_model
    with caplog.at_level(logging.WARNING):
        options = options_of_shieldings(read_from=str(path))
        finetuned = train_in(tmp_path / "run", options)
    assert "['mtt::alpha', 'mtt::mu'] of the trained model are not" in caplog.text
    before, after = trained["best_model_state_dict"], finetuned["model_state_dict"]
    network = [name for name in before if name.startswith("model.network")]
    assert not all(torch.equal(before[name], after[name]) for name in network)
    of_alpha = [n for n in before if n.startswith("baseline") and "mtt::alpha" in n]
    assert of_alpha
    for name in of_alpha:
        assert torch.equal(before[name], after[name]), name
    outputs = load_atomistic_model(tmp_path / "run" / "model.pt").capabilities().outputs
    assert {"mtt::mu", "mtt::alpha", "mtt::shielding"} <= set(outputs)


def test_finetuning_of_heads_leaves_the_other_targets_alone(trained_model, tmp_path):
    """Also after a restart; the new target is learned."""
    path, trained = trained_model
    options = options_of_shieldings(read_from=str(path), method="heads")
    train_in(tmp_path / "two", options)
    options.architecture.training.num_epochs = 4
    finetuned = train_in(
        tmp_path / "four", options, restart_from=tmp_path / "two" / "model.ckpt"
    )
    before, after = trained["best_model_state_dict"], finetuned["model_state_dict"]
    for name in before:
        if "buffer" not in name:
            assert torch.equal(before[name], after[name]), name
    frames = ase.io.read(DATA / "qm7x_test.xyz", ":3")
    models = [load_model(p).eval() for p in (path, tmp_path / "four" / "model.ckpt")]
    for target in ("mtt::mu", "mtt::alpha"):
        old, new = (predict(m, frames, [target], "system")[target] for m in models)
        assert torch.equal(old.block().values, new.block().values)
    start = torch.load(tmp_path / "two" / "model.ckpt", weights_only=False)
    start, end = start["model_state_dict"], finetuned["model_state_dict"]
    of_head = [n for n in start if "heads.mtt::shielding" in n]
    assert of_head
    assert not all(torch.equal(start[n], end[n]) for n in of_head)


def llpr(checkpoint, **ensembles):
    """The architecture that wraps the model of a training."""
    return {
        "name": "llpr",
        "model": {"num_ensemble_members": ensembles},
        "training": {"model_checkpoint": str(checkpoint), "batch_size": 4},
    }


def test_llpr_wraps_the_model(tmp_path):
    """metatrain's last-layer uncertainties, for an energy."""
    options = write_options(systems=ETHANOL)
    options.training_set.targets = {
        "energy": {"key": "energy", "unit": "kcal/mol", "forces": False}
    }
    train_in(tmp_path / "run", options)
    options.architecture = llpr(tmp_path / "run" / "model.ckpt", energy=4)
    (tmp_path / "llpr").mkdir()
    train_model(options, output=tmp_path / "llpr.pt", checkpoint_dir=tmp_path / "llpr")
    model = load_atomistic_model(tmp_path / "llpr.pt")
    assert {"energy_uncertainty", "energy_ensemble"} <= set(
        model.capabilities().outputs
    )


def test_llpr_makes_no_ensembles_of_tensors(trained_model, tmp_path):
    """Their values are no linear function of the features, as it takes them to be."""
    options = write_options()
    options.architecture = llpr(trained_model[0], **{"mtt::mu": 3})
    with pytest.raises(ArchitectureError, match="mtt::mu"):
        train_model(options, output=tmp_path / "llpr.pt", checkpoint_dir=tmp_path)


def test_average_of_weights():
    torch.manual_seed(0)
    layer = torch.nn.Linear(2, 2)
    average = WeightAverage(layer, 0.5)
    expected = layer.weight.detach().clone()
    for step in range(1, 6):
        with torch.no_grad():
            layer.weight += 1.0
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * layer.weight.detach()
        average.update()
    current = layer.weight.detach().clone()
    with average.applied():
        torch.testing.assert_close(layer.weight.detach(), expected)
    assert torch.equal(layer.weight.detach(), current)


def test_learning_rate_rises_and_decays_to_zero():
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = warmup_cosine(optimizer, num_steps=100, warmup_fraction=0.1)
    rates = []
    for _ in range(100):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert np.all(np.diff(rates[:11]) > 0) and rates[10] == 1.0
    assert np.all(np.diff(rates[10:]) < 0) and rates[-1] < 1e-3


def test_two_processes_train_as_one_does(tmp_path):
    """With half a batch each.

    With few features, so that equations are added up but for scalars, whose invariants
    are more than there are structures.
    """
    options = write_options(validation_set=0.25, test_set=0.5)  # of 80
    options.architecture.model.network = {"num_neurons_per_layer": 2}
    options.architecture.training.num_epochs = 0
    before = train_in(tmp_path / "start", options)["model_state_dict"]
    options.architecture.training.update(
        num_epochs=3,
        batch_size=20,
        solve_heads=True,
        finetune={"read_from": str(tmp_path / "start" / "model.ckpt")},
    )
    alone = train_in(tmp_path / "alone", options)

    options.architecture.training.batch_size = 10
    options.architecture.training.distributed_port = free_port()
    OmegaConf.save(options, "options.yaml")
    outputs = train_as_two_tasks(tmp_path)
    assert "Training on 2 x cpu" in outputs[0]
    assert not (tmp_path / "1" / "model.pt").exists()
    together = torch.load(tmp_path / "0" / "model.ckpt", weights_only=False)
    has_changed = False
    for kind in ("model_state_dict", "best_model_state_dict"):  # trained, and solved
        for name, weights in alone[kind].items():
            found = together[kind][name]
            torch.testing.assert_close(found, weights, rtol=1e-7, atol=1e-9)
            has_changed |= not torch.equal(before[name], weights)
    assert has_changed


def test_training_reaches_what_the_model_itself_can_produce(tmp_path):
    """A model learns the tensors of another model of the same kind."""
    teacher = make_model({"mtt::y": spherical((2, 1))}, seed=3)
    frames = molecules(40)
    values = predict(teacher, frames, ["mtt::y"], "system")["mtt::y"].block().values
    for frame, value in zip(frames, values[:, :, 0]):
        frame.info["y"] = value.detach().numpy()
    ase.io.write("data.xyz", frames)
    options = write_options(
        systems="data.xyz",
        architecture__training={"num_epochs": 30, "learning_rate": 0.01},
        test_set=0.1,
        validation_set=0.1,
    )
    options.training_set.targets = {
        "mtt::y": {
            "key": "y",
            "type": {"spherical": {"irreps": [{"o3_lambda": 2, "o3_sigma": 1}]}},
        }
    }
    train_in(tmp_path / "run", options)
    model = load_model(tmp_path / "run" / "model.ckpt").double().eval()
    predicted = predict(model, frames, ["mtt::y"], "system")["mtt::y"].block().values
    error = (predicted - values).pow(2).mean().sqrt()
    assert error < 0.5 * values.pow(2).mean().sqrt()
