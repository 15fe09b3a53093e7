"""Heads in closed form."""

import logging
from pathlib import Path

import ase.build
import ase.io
import numpy as np
import pytest
import torch
from ase.calculators.calculator import all_changes
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from metatomic_ase import MetatomicCalculator
from metatrain.utils.io import load_model
from omegaconf import OmegaConf

from files import DATA, PROJECT
from helpers import assert_same, molecules, predict
from metatrain_scalar_tensor.training.solve import _error, _quantities_of_loss
from metatrain_scalar_tensor.training.solve import ridge as ridge_of_solve
from options import train_in, write_options


pytestmark = pytest.mark.usefixtures("in_temporary_folder")


MU = {"key": "mu", "type": {"cartesian": {"rank": 1}}}
ALPHA = {"key": "alpha", "type": {"cartesian": {"rank": 2}}}


def solved(name, targets, max_radial=2, restart_from=None, **training):
    """The model after a training, with solved heads."""
    options = write_options(
        systems="data.xyz",
        architecture__training={"num_epochs": 0, "solve_heads": True, **training},
        architecture__model__expansion__basis__max_angular=3,
        architecture__model__expansion__basis__radial__max_radial=max_radial,
        test_set=0.0,
    )
    options.training_set.targets = targets
    train_in(Path(name).absolute(), options, restart_from=restart_from)
    return load_model(f"{name}/model.ckpt").double().eval()


@pytest.mark.parametrize("sample_kind", ["system", "atom"])
@pytest.mark.parametrize(
    "kind",
    [
        "scalar",
        {"cartesian": {"rank": 2}},
        {"cartesian": {"rank": 3}},
    ],
    ids=str,
)
def test_what_the_features_can_say_is_found(kind, sample_kind):
    """Data by a model with the same features and tensors, and other last weights.

    Of more structures than there are weights, so that these are found.
    """
    number = 250 if sample_kind == "system" else 60
    frames = [ase.build.molecule("CH3OH") for _ in range(number)]
    for i, frame in enumerate(frames):
        frame.rattle(0.2, seed=i)
    target = {"key": "y", "type": kind, "sample_kind": sample_kind, "num_subtargets": 2}
    num_values = 2 if kind == "scalar" else 2 * 3 ** kind["cartesian"]["rank"]
    training = {
        "atomic_baseline": {"mtt::y": 0.0},
        # types of atoms have scales of their own, with which weights do not agree
        "scale_targets": sample_kind == "system",
    }
    # the linear term of scalars has a weight for every invariant and type
    training["max_radial"] = 0

    def write(values):
        """Values of all structures or atoms, ``(samples, num_values)``."""
        sizes = [len(frame) if sample_kind == "atom" else 1 for frame in frames]
        for frame, y in zip(frames, values.split(sizes)):
            if sample_kind == "atom":
                frame.arrays["y"] = y.numpy()
            else:
                frame.info["y"] = y[0].numpy()
        ase.io.write("data.xyz", frames)

    num_atoms = sum(len(frame) for frame in frames)
    num_samples = num_atoms if sample_kind == "atom" else len(frames)
    torch.manual_seed(0)
    write(torch.randn(num_samples, num_values).double())
    teacher = solved("teacher", {"mtt::y": target}, solve_heads=False, **training)
    for head in teacher.model.heads().values():
        for weights in head.last_weights():
            torch.nn.init.normal_(weights)
    values = predict(teacher, frames, ["mtt::y"], sample_kind)["mtt::y"].block().values
    write(values.detach().flatten(1))
    student = solved("student", {"mtt::y": target}, **training)
    found = predict(student, frames, ["mtt::y"], sample_kind)["mtt::y"].block().values
    assert (found - values).abs().max() < 1e-6 * values.abs().max()


def test_matrices_of_atoms_and_pairs_are_solved(tmp_path):
    """Fock matrices of water, whose blocks lack the orbitals that hydrogen has not."""
    options = OmegaConf.load(PROJECT / "options" / "hamiltonian.yaml")
    options.training_set.systems.read_from = str(DATA / "hamiltonian/water_sto3g.zip")
    options.architecture.training.update(
        num_epochs=1, solve_heads=True, num_ensemble_members=2
    )
    options.final_eval = False
    checkpoint = train_in(tmp_path, options)
    errors = checkpoint["best_results"]
    for name in ("mtt::fock_onsite", "mtt::fock_offsite"):  # eV; 10 after one epoch
        [error] = [value for key, value in errors.items() if key.startswith(name)]
        assert error < 1e-3
    model = load_model(tmp_path / "model.ckpt").eval()
    for name in (
        "mtt::aux::fock_onsite_uncertainty",
        "mtt::aux::fock_offsite_uncertainty",
    ):
        kind = model.outputs[name].sample_kind
        water = predict(model, [ase.build.molecule("H2O")], [name], kind)[name]
        values = torch.cat([block.values.flatten() for block in water.blocks()])
        assert len(values) > 0 and values.isfinite().all()
    # there are no pairs of oxygen atoms, so that their uncertainty is unknown
    pair = ase.build.molecule("H2O") + ase.build.molecule("H2O")
    pair.positions[3:, 2] += 3.0
    for key, block in predict(model, [pair], [name], kind)[name].items():
        if int(key["first_atom_type"]) == int(key["second_atom_type"]) == 8:
            assert len(block.values) == 2 and block.values.isnan().all()


def test_tensors_that_vanish_by_symmetry_keep_their_weights():
    """In a perfect crystal there is no vector, and what is left of it is rounding."""
    frames = [ase.build.bulk("Cu", a=3.5 + 0.01 * i) for i in range(20)]
    torch.manual_seed(0)
    for frame in frames:
        frame.info["mu"] = 1e-3 * torch.randn(3).numpy()
    ase.io.write("data.xyz", frames)
    models = [
        solved(name, {"mtt::mu": MU}, solve_heads=solve)
        for name, solve in (("solved", True), ("initial", False))
    ]
    states = [model.model.heads()["mtt::mu"].state_dict() for model in models]
    assert_same(dict(states[0]), dict(states[1]))


def results_of(model, frames):
    """Energies, forces and stresses of an exported model."""
    calculator = MetatomicCalculator(model.export())
    results = []
    for frame in frames:
        calculator.calculate(frame, ["energy", "forces", "stress"], all_changes)
        results.append(dict(calculator.results))
    return results


def test_forces_and_stress_that_the_features_can_say_are_found():
    """Energies by a model with the same features and other last weights.

    They alone would be too few to find the weights. Dipoles are learned besides.
    """
    frames = [ase.build.molecule("CH3OH") for _ in range(30)]
    for i, frame in enumerate(frames):
        frame.set_cell(np.diag([5.0, 5.5, 6.0]))
        frame.pbc = True
        frame.rattle(0.2, seed=i)
        frame.info["mu"] = frame.get_center_of_mass()

    def write(results):
        for frame, values in zip(frames, results, strict=True):
            frame.calc = SinglePointCalculator(frame, **values)
        ase.io.write("data.xyz", frames)

    rng = np.random.default_rng(0)
    write(
        {"energy": e, "forces": rng.normal(size=(6, 3)), "stress": np.eye(3)}
        for e in rng.normal(size=len(frames))
    )
    energy = {"key": "energy", "unit": "eV", "forces": True, "stress": True}
    targets = {"energy": energy, "mtt::mu": MU}
    training = {
        "atomic_baseline": {"energy": 0.0, "mtt::mu": 0.0},
        "scale_targets": False,
        "max_radial": 0,
    }
    teacher = solved("teacher", targets, solve_heads=False, **training)
    for weights in teacher.model.heads()["energy"].last_weights():
        torch.nn.init.normal_(weights)
    expected = results_of(teacher, frames)
    write(expected)
    found = results_of(solved("student", targets, **training), frames)
    for name in ("energy", "forces", "stress"):
        errors = [x[name] - y[name] for x, y in zip(found, expected, strict=True)]
        largest = max(np.abs(y[name]).max() for y in expected)
        assert np.abs(errors).max() < 1e-6 * largest, name


def test_worse_solutions_are_refused(caplog, monkeypatch):
    # all noise is learned
    monkeypatch.setattr(ridge_of_solve, "STRENGTHS", torch.tensor([1e-14]).double())
    frames = molecules(20)
    torch.manual_seed(0)
    for frame in frames:
        frame.info["mu"] = torch.randn(3).numpy()
    ase.io.write("data.xyz", frames)
    with caplog.at_level(logging.INFO):
        solved("model", {"mtt::mu": MU}, num_epochs=3)
    assert "(worse, and refused)" in caplog.text


@pytest.mark.parametrize("label", ["", " (_=0)"])
def test_errors_of_a_target_are_its_own(label):
    """With and without separate blocks in the log."""
    results = {
        f"energy{label} RMSE (per atom)": 2.0,
        f"energy{label}_positions_gradients RMSE": 3.0,
        f"energy_b{label} RMSE (per atom)": 5.0,
        f"energy_b{label}_positions_gradients RMSE": 7.0,
    }

    def error(name, weight, weight_of_forces):
        loss = {"weight": weight}
        loss["gradients"] = {"positions": {"weight": weight_of_forces}}
        return _error(_quantities_of_loss(name, loss), results)

    assert error("energy", 1.0, 0.1) == 6.0
    assert error("energy_b", 1.0, 0.1) == 35.0
    assert error("energy", 0.0, 0.1) == 3.0  # what has no weight does not count
    assert error("energy", 0.1, 0.0) == 2.0
    assert error("mtt::y", 1.0, 1.0) == 0.0


@pytest.mark.parametrize("weight", [1.0, 100.0, 1e-9])
def test_data_with_and_without_forces_count_as_in_the_loss(weight):
    """The same energies twice, but for a shift of both signs: the mean has none."""
    frames = [ase.build.molecule("CH3OH") for _ in range(16)]
    for i, frame in enumerate(frames):
        frame.rattle(0.1, seed=i)
        frame.calc = EMT()
    sets = {}
    for shift in (5.0, -5.0):
        forces = {"key": "forces"} if shift > 0 else False
        for part, of_part in (("training", frames[:12]), ("validation", frames[12:])):
            shifted = [frame.copy() for frame in of_part]
            for frame, original in zip(shifted, of_part):
                energy = original.get_potential_energy() + shift
                values = {"energy": energy, "forces": original.get_forces()}
                frame.calc = SinglePointCalculator(frame, **values)
            file = f"{part}{shift}.xyz"
            ase.io.write(file, shifted)
            energy = {"key": "energy", "unit": "eV", "forces": forces, "stress": False}
            systems = {"read_from": file, "length_unit": "angstrom"}
            one = {"systems": systems, "targets": {"energy": energy}}
            sets.setdefault(f"{part}_set", []).append(one)
    options = write_options(
        architecture__training={"num_epochs": 0, "solve_heads": True},
        test_set=0.0,
    )
    for part, of_part in sets.items():
        options[part] = of_part
    options.architecture.training.loss = {
        "energy": {
            "type": "mse",
            "weight": weight,
            # small weights of both are no reason to find that everything vanishes
            "gradients": {"positions": {"type": "mse", "weight": min(weight, 1.0)}},
        }
    }
    train_in(Path("model").absolute(), options)
    model = load_model("model/model.ckpt").double().eval()
    values = predict(model, frames[:12], ["energy"], "system")["energy"].block().values
    errors = values[:, 0].detach().numpy() - [
        f.get_potential_energy() for f in frames[:12]
    ]
    assert abs(errors.mean()) < 0.05


def test_errors_of_whole_structures_count_where_the_loss_has_them():
    """Those of large structures count more than as means over atoms."""
    frames = [ase.build.molecule(name) for name in 8 * ["H2O", "C6H6"]]
    for i, frame in enumerate(frames):
        frame.rattle(0.1, seed=i)
        frame.info["y"] = float(np.random.default_rng(i).normal())
    ase.io.write("data.xyz", frames)
    errors = {}
    for names in ([], ["mtt::y"]):
        target = {"key": "y", "sample_kind": "system"}
        training = {"per_structure_targets": names, "scale_targets": False}
        model = solved(f"model-{len(names)}", {"mtt::y": target}, 0, **training)
        values = predict(model, frames, ["mtt::y"], "system")["mtt::y"].block().values
        rest = values[:, 0].detach().numpy() - [f.info["y"] for f in frames]
        of_large = np.abs(rest[1::2]).mean()
        errors[len(names)] = of_large / np.abs(rest[::2]).mean()
    assert errors[1] < 0.9 * errors[0]  # the same without the option


def test_properties_known_only_where_tensors_vanish_keep_their_weights():
    """As a vector of isolated atoms: features say nothing about it."""
    frames = molecules(10)
    for frame in frames:
        v = np.full((len(frame), 3, 2), np.nan)
        v[:, :, 0] = frame.positions - frame.positions.mean(0)
        frame.arrays["v"] = v.reshape(len(frame), 6)
    for symbol in "HCNO":
        atom = ase.Atoms(symbol, [[0.0, 0.0, 0.0]])
        atom.arrays["v"] = np.zeros((1, 6))
        frames.append(atom)
    ase.io.write("data.xyz", frames)
    target = {**MU, "key": "v", "sample_kind": "atom", "num_subtargets": 2}
    model = solved("model", {"mtt::v": target})
    values = predict(model, frames, ["mtt::v"])["mtt::v"].block().values
    assert values.isfinite().all()


def test_a_checkpoint_of_the_training_exports_the_best_so_far():
    """Also if that is the initial model with solved heads."""
    ase.io.write("data.xyz", ase.io.read(DATA / "molecules.xyz", "::3"))
    solved("model", {"mtt::mu": MU}, num_epochs=2, checkpoint_interval=1)
    checkpoint = torch.load("model/model_1.ckpt", weights_only=False)
    assert checkpoint["trainer_start"]["best_metric"] == checkpoint["best_metric"]
    assert checkpoint["best_metric"] < checkpoint["trainer_selection"]["best_metric"]
    state = checkpoint["trainer_start"]["best_model_state_dict"]
    assert_same(dict(checkpoint["best_model_state_dict"]), dict(state))


def test_a_restart_with_a_further_target_starts_its_selection_again():
    """Earlier epochs have no weights for it."""
    ase.io.write("data.xyz", molecules(20))
    solved("first", {"mtt::mu": MU}, num_epochs=1)
    first = Path("first/model.ckpt").absolute()
    targets = {"mtt::mu": MU, "mtt::alpha": ALPHA}
    model = solved("second", targets, restart_from=first, num_epochs=2)
    values = predict(model, molecules(2), ["mtt::alpha"])["mtt::alpha"].block().values
    assert values.isfinite().all() and values.abs().max() > 0.1


def test_the_solution_is_exported_and_a_restart_goes_on_from_the_last_epoch():
    ase.io.write("data.xyz", molecules(20))
    solved("model", {"mtt::mu": MU}, num_epochs=2)
    checkpoint = torch.load("model/model.ckpt", weights_only=False)
    best, latest = (checkpoint[f"{kind}model_state_dict"] for kind in ("best_", ""))
    head = [n for n in best if "heads.mtt::mu.coefficients.weight" in n]
    assert head and not any(torch.equal(best[n], latest[n]) for n in head)
    solved("plain", {"mtt::mu": MU}, num_epochs=2, solve_heads=False)
    plain = torch.load("plain/model.ckpt", weights_only=False)
    for name, weights in latest.items():
        if name.startswith("model"):
            assert torch.equal(weights, plain["model_state_dict"][name]), name
    # later epochs are compared with other epochs, not with the solution
    selection = checkpoint["trainer_selection"]
    for key in ("best_epoch", "best_metric"):
        assert selection[key] == plain[key]
    assert selection["best_metric"] > checkpoint["best_metric"]


def test_without_epochs_what_can_not_be_solved_is_named(caplog):
    """The equations of a stress contain the volume."""
    frames = ase.io.read(DATA / "carbon_reduced_100.xyz", ":8")
    ase.io.write("data.xyz", frames)
    target = {"key": "virial", "type": {"cartesian": {"rank": 2}}}
    targets = {"non_conservative_stress": target, "mtt::y": target}
    with caplog.at_level(logging.WARNING):
        solved("model", targets)
    assert "does not fit 'non_conservative_stress'" in caplog.text
    assert "does not fit 'mtt::y'" not in caplog.text


def test_little_memory_takes_more_passes_or_fewer_samples(caplog):
    frames = molecules(20)
    ase.io.write("data.xyz", frames)
    targets = {"mtt::mu": MU, "mtt::alpha": ALPHA}
    messages = {}
    for memory in (1.0, 1.8e-4, 5e-5):
        caplog.clear()
        with caplog.at_level(logging.INFO):
            solved(f"memory-{memory}", targets, solve_memory=memory)
        messages[memory] = caplog.text
    assert "passes" not in messages[1.0]
    assert "in 3 passes" in messages[1.8e-4]
    assert "left out" not in messages[1.8e-4]
    assert "some samples are left out" in messages[5e-5]
    weights = [
        torch.load(f"memory-{memory}/model.ckpt", weights_only=False)
        for memory in (1.0, 1.8e-4)
    ]
    for name, values in weights[0]["best_model_state_dict"].items():
        if name.startswith("model"):
            assert torch.equal(values, weights[1]["best_model_state_dict"][name]), name


def test_narrow_equations_of_many_samples_need_little_memory(caplog):
    """They are added up, and no sample is left out."""
    frames = molecules(40)
    for frame in frames:
        frame.arrays["y"] = np.random.default_rng(len(frame)).normal(
            size=(len(frame), 3)
        )
    ase.io.write("data.xyz", frames)
    target = {**MU, "key": "y", "sample_kind": "atom"}
    with caplog.at_level(logging.INFO):
        solved("model", {"mtt::y": target}, solve_memory=1e-4)  # 13,000 numbers
    assert ": 960 rows, 56 weights" in caplog.text
    assert "left out" not in caplog.text
