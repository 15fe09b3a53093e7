"""Heads in closed form."""

import logging
from pathlib import Path

import ase.build
import ase.io
import numpy as np
import pytest
import torch
from ase.calculators.calculator import all_changes
from ase.calculators.singlepoint import SinglePointCalculator
from metatomic_ase import MetatomicCalculator
from metatrain.utils.io import load_model
from omegaconf import OmegaConf

from files import DATA, PROJECT
from helpers import assert_same, molecules, predict
from metatrain_scalar_tensor.training.processes import Processes
from metatrain_scalar_tensor.training.solve import ridge as ridge_of_solve
from metatrain_scalar_tensor.training.solve.conjugate import LargeRidge
from metatrain_scalar_tensor.training.solve.equations import (
    Gram,
    LargeLeft,
    LargeRight,
    Products,
)
from metatrain_scalar_tensor.training.solve.ridge import (
    STRENGTHS,
    TallRidge,
    WideRidge,
)
from metatrain_scalar_tensor.training.solve.rows import Rows
from metatrain_scalar_tensor.training.solve.sums import Sums
from options import train_in, write_options


pytestmark = pytest.mark.usefixtures("in_temporary_folder")


def solve(x, y, validation=None):
    """The solution of the form for as many rows and columns."""
    scales = torch.ones(x.shape[1]).double()
    if len(x) < x.shape[1]:
        return WideRidge(x, scales).solve(y, validation)
    return TallRidge(Gram.of(x), scales).solve(Products.of(x, y), validation)


@pytest.mark.parametrize("shape", [(30, 8), (8, 30)])
def test_ridge_is_the_solution_of_the_normal_equations(shape, monkeypatch):
    monkeypatch.setattr(ridge_of_solve, "STRENGTHS", torch.tensor([1e-3]).double())
    torch.manual_seed(0)
    x, y = torch.randn(shape).double(), torch.randn(shape[0], 3).double()
    others = torch.randn(10, shape[1]).double()
    w = torch.randn(shape[1], 3).double()
    solution = solve(x, y, (others, others @ w))
    square = x.T @ x
    ridge = solution.strength * torch.linalg.eigvalsh(square).max()
    expected = torch.linalg.solve(square + ridge * torch.eye(len(square)), x.T @ y)
    torch.testing.assert_close(solution.weights, expected, atol=1e-9, rtol=1e-9)
    trace = torch.linalg.inv(square + ridge * torch.eye(len(square))) @ square
    assert solution.num_parameters == pytest.approx(float(trace.trace()))


def test_the_strength_is_that_with_the_smallest_error_on_other_data():
    torch.manual_seed(0)
    x, others = torch.randn(20, 30).double(), torch.randn(50, 30).double()
    w = torch.randn(30, 1).double()
    y = x @ w + torch.randn(20, 1).double()
    ridge = WideRidge(x, torch.ones(30).double())
    solution = ridge.solve(y, (others, others @ w))

    def error(strength):
        alpha = strength * ridge.squares.max()
        weights = x.T @ torch.linalg.solve(x @ x.T + alpha * torch.eye(20), y)
        return float((others @ (weights - w)).square().sum())

    errors = {float(strength): error(strength) for strength in STRENGTHS[8:]}
    assert errors[solution.strength] == min(errors.values())


def test_cross_validation_tells_noise_from_exact_data():
    torch.manual_seed(0)
    x, w = torch.randn(100, 50).double(), torch.randn(50, 1).double()
    exact = solve(x, x @ w)
    torch.testing.assert_close(exact.weights, w, atol=1e-8, rtol=0)
    noise = solve(x, 100 * torch.randn(100, 1).double())
    assert noise.strength > 1e-2 > exact.strength


def large(x, y, number, is_summed):
    """Both sides of many equations, of which ``number`` are chosen at random."""
    chosen = torch.randperm(len(x))[:number]
    left = LargeLeft(Gram.of(x) if is_summed else x, x[chosen])
    return left, LargeRight(Products.of(x, y), y[chosen])


@pytest.mark.parametrize("is_summed", [True, False])
@pytest.mark.parametrize("number", [20, 45])
def test_conjugate_gradients_reach_the_solution_for_all_rows(number, is_summed):
    torch.manual_seed(0)
    decay = torch.logspace(0, -3, 50).double()
    x, y = torch.randn(300, 50).double() * decay, torch.randn(300, 2).double()
    scales = 0.5 + torch.rand(50).double()
    left, right = large(x, y, number, is_summed)
    ridge = LargeRidge(left, scales)
    solution = ridge.solve(right)
    alpha = solution.strength * ridge.of_chosen.squares.max()
    square = x.T @ x + alpha * torch.diag(scales**-2)
    expected = torch.linalg.solve(square, x.T @ y)
    torch.testing.assert_close(solution.weights, expected, atol=1e-7, rtol=1e-7)
    rest = ridge.rest(right, solution.weights)
    expected = (y - x @ solution.weights).square().mean(0)
    torch.testing.assert_close(ridge.mean_squares(rest), expected)


@pytest.mark.parametrize("is_summed", [True, False])
def test_all_rows_are_better_than_some_for_other_data(is_summed):
    torch.manual_seed(0)
    decay = torch.logspace(0, -3, 200).double()
    x, others = [torch.randn(n, 200).double() * decay for n in (1000, 500)]
    w = torch.randn(200, 3).double()
    y = x @ w + 0.01 * torch.randn(1000, 3).double()
    left, right = large(x, y, 100, is_summed)
    ridge = LargeRidge(left, torch.ones(200).double())
    validation = (others, others @ w)
    some = ridge.of_chosen.solve(right.chosen, validation)
    solution = ridge.solve(right, validation)
    found = (others @ solution.weights - validation[1]).square().sum()
    assert solution.error == pytest.approx(float(found))
    exact = solve(x, y, validation)
    assert solution.error < 1.2 * exact.error < 0.5 * some.error


MU = {"key": "mu", "type": {"cartesian": {"rank": 1}}}
ALPHA = {"key": "alpha", "type": {"cartesian": {"rank": 2}}}


def solved(name, targets, max_radial=2, **training):
    """The model after a training, with solved heads."""
    options = write_options(
        systems="data.xyz",
        architecture__training={"num_epochs": 0, "solve_heads": True, **training},
        architecture__model__expansion__basis__max_angular=3,
        architecture__model__expansion__basis__radial__max_radial=max_radial,
        test_set=0.0,
    )
    options.training_set.targets = targets
    train_in(Path(name).absolute(), options)
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
    # there are no pairs of oxygen atoms, so that their uncertainty is unknown (NaN)
    model = load_model(tmp_path / "model.ckpt").eval()
    for name in (
        "mtt::aux::fock_onsite_uncertainty",
        "mtt::aux::fock_offsite_uncertainty",
    ):
        kind = model.outputs[name].sample_kind
        water = predict(model, [ase.build.molecule("H2O")], [name], kind)[name]
        values = torch.cat([block.values.flatten() for block in water.blocks()])
        assert len(values) > 0 and values.isfinite().all()


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


def test_sums_have_the_equations_of_rows():
    """With properties that are known for the same, for other and for no samples."""
    torch.manual_seed(0)
    name = "lambda_1_sigma_1"
    rows, sums = (
        Rows([name], max_numbers=10**6, max_equations=100),
        Sums([name], 100, 100),
    )
    for _ in range(5):
        x = torch.randn(40, 3, 12).double()
        y = {
            (0, 0): torch.randn(40, 3, 4).double(),
            (1, 2): torch.randn(40, 3, 2).double(),
        }
        y[0, 0][::2, :, :2] = torch.nan
        y[0, 0][:10, :, 2] = torch.nan
        y[1, 2][..., 1] = torch.nan
        for equations in (rows, sums):
            chosen = equations.choose(40)
            assert len(chosen) == 40
            equations.add({name: (x, y)})
    alone = Processes(torch.device("cpu"), 1, 0, False)
    sums.join(alone)
    torch.testing.assert_close(sums.squares(name), rows.squares(name))
    found, expected = [
        {(r.irrep, *r.properties.tolist()): r for r in equations.regressions(name)}
        for equations in (sums, rows)
    ]
    assert set(expected) == {((0, 0), 0, 1), ((0, 0), 2), ((0, 0), 3), ((1, 2), 0)}
    assert set(found) == set(expected)
    for key, regression in expected.items():
        torch.testing.assert_close(found[key].left, regression.left)
        torch.testing.assert_close(found[key].right, regression.right)
    # with too many columns, random rows are kept besides
    wide = Sums([name], max_columns=10, num_random=30)
    wide.add({name: (x, y)})
    for regression in wide.regressions(name):
        chosen = regression.left.chosen
        assert 15 <= len(chosen) <= 30 and chosen.shape[1] == 12
        of_all = x.flatten(0, 1)
        matches = (chosen.unsqueeze(1) == of_all).all(2)
        assert (matches.sum(1) == 1).all()
        of_irrep = y[regression.irrep].flatten(0, 1)[:, regression.properties]
        assert torch.equal(of_irrep[matches.int().argmax(1)], regression.right.chosen)
    keys = [{key: r.samples for key, r in of.items()} for of in (found, expected)]
    for of in keys:  # those of all samples share their left sides
        assert of[(0, 0), 3] == of[(1, 2), 0] and len(set(of.values())) == 3


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


def test_only_as_many_samples_are_kept_as_there_is_room_for():
    rows = Rows(["lambda_1_sigma_1"], max_numbers=20_000, max_equations=100)
    number = 0
    for _ in range(50):
        chosen = rows.choose(20)
        x = (number + chosen).double().reshape(-1, 1, 1).expand(-1, 3, 200)
        rows.add({"lambda_1_sigma_1": (x, {(0, 0): x[:, :, :2]})})
        number += 20
    x = rows.left("lambda_1_sigma_1")
    y = rows.right("lambda_1_sigma_1", (0, 0))
    assert 40 <= len(x) <= 100
    assert torch.equal(x[:, :2], y)
    assert x[:, 0].mean() == pytest.approx(500, abs=150)  # from everywhere
