"""Ridge regression, and how the equations are kept."""

import math

import pytest
import torch

from metatrain_scalar_tensor.training.processes import Processes
from metatrain_scalar_tensor.training.solve import factors as factors_of_solve
from metatrain_scalar_tensor.training.solve import ridge as ridge_of_solve
from metatrain_scalar_tensor.training.solve.conjugate import LargeRidge
from metatrain_scalar_tensor.training.solve.equations import (
    Gram,
    LargeLeft,
    LargeRight,
    Products,
)
from metatrain_scalar_tensor.training.solve.factors import Factors, are_products
from metatrain_scalar_tensor.training.solve.ridge import (
    STRENGTHS,
    TallRidge,
    WideRidge,
)
from metatrain_scalar_tensor.training.solve.rows import Rows
from metatrain_scalar_tensor.training.solve.sums import Sums


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
    ridge = float(solution.strengths[0]) * torch.linalg.eigvalsh(square).max()
    expected = torch.linalg.solve(square + ridge * torch.eye(len(square)), x.T @ y)
    torch.testing.assert_close(solution.weights, expected, atol=1e-9, rtol=1e-9)
    trace = torch.linalg.inv(square + ridge * torch.eye(len(square))) @ square
    assert float(solution.num_parameters[0]) == pytest.approx(float(trace.trace()))


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
    assert errors[float(solution.strengths)] == min(errors.values())


def test_cross_validation_tells_noise_from_exact_data():
    torch.manual_seed(0)
    x, w = torch.randn(100, 50).double(), torch.randn(50, 1).double()
    exact = solve(x, x @ w)
    torch.testing.assert_close(exact.weights, w, atol=1e-8, rtol=0)
    noise = solve(x, 100 * torch.randn(100, 1).double())
    assert noise.strengths > 1e-2 > exact.strengths


def large(x, y, number, is_summed):
    """Both sides of many equations, of which ``number`` are chosen at random."""
    chosen = torch.randperm(len(x))[:number]
    left = LargeLeft(Gram.of(x) if is_summed else x, x[chosen])
    return left, LargeRight(Products.of(x, y), y[chosen])


@pytest.mark.parametrize("is_summed", [True, False])
@pytest.mark.parametrize("number", [20, 30, 45])
def test_conjugate_gradients_reach_the_solution_for_all_rows(number, is_summed):
    torch.manual_seed(0)
    decay = torch.logspace(0, -3, 50).double()
    x, y = torch.randn(300, 50).double() * decay, torch.randn(300, 2).double()
    scales = 0.5 + torch.rand(50).double()
    left, right = large(x, y, number, is_summed)
    ridge = LargeRidge(left, scales)
    solution = ridge.solve(right)
    alphas = solution.strengths * ridge.of_chosen.squares.max()
    for k, alpha in enumerate(alphas):
        square = x.T @ x + alpha * torch.diag(scales**-2)
        expected = torch.linalg.solve(square, x.T @ y[:, k])
        found = solution.weights[:, k]
        torch.testing.assert_close(found, expected, atol=1e-7, rtol=1e-7)
        residual = square @ found - x.T @ y[:, k]
        assert residual.norm() < 1e-7 * (x.T @ y[:, k]).norm()
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
    found = (others @ solution.weights - validation[1]).square().sum(0)
    torch.testing.assert_close(solution.errors, found)
    exact = solve(x, y, validation)
    assert (solution.errors < 1.2 * exact.errors).all()
    assert (exact.errors < 0.4 * some.errors).all()


@pytest.mark.parametrize("shape", [(12, 1), (1, 12), (3, 4), (4, 5), (7, 4)])
def test_sums_have_the_equations_of_rows(shape, monkeypatch):
    """With properties that are known for the same, for other and for no samples."""
    monkeypatch.setattr(factors_of_solve, "NUMBERS_AT_A_TIME", 100)  # few samples
    assert are_products(shape) == (shape in [(4, 5), (7, 4)])
    torch.manual_seed(0)
    name = "lambda_1_sigma_1"
    rows, sums = (
        Rows([name], max_numbers=10**6, max_equations=100),
        Sums([name], 100, 100),
    )
    for _ in range(5):
        tensors = torch.randn(40, 3, shape[0]).double()
        factors = Factors(tensors, torch.randn(40, shape[1]).double())
        y = {
            (0, 0): torch.randn(40, 3, 4).double(),
            (1, 2): torch.randn(40, 3, 2).double(),
        }
        y[0, 0][::2, :, :2] = torch.nan
        y[0, 0][:10, :, 2] = torch.nan
        y[0, 0][20:25, 1, 2] = torch.nan  # a component
        y[1, 2][..., 1] = torch.nan
        for equations in (rows, sums):
            chosen = equations.choose(40)
            assert len(chosen) == 40
            equations.add({name: (factors, y)})
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
    wide.add({name: (factors, y)})
    for regression in wide.regressions(name):
        chosen = regression.left.chosen
        assert 15 <= len(chosen) <= 30 and chosen.shape[1] == math.prod(shape)
        of_all = factors.rows().flatten(0, 1)
        matches = (chosen.unsqueeze(1) == of_all).all(2)
        assert (matches.sum(1) == 1).all()
        of_irrep = y[regression.irrep].flatten(0, 1)[:, regression.properties]
        assert torch.equal(of_irrep[matches.int().argmax(1)], regression.right.chosen)
    keys = [{key: r.samples for key, r in of.items()} for of in (found, expected)]
    for of in keys:  # those of all samples share their left sides
        assert of[(0, 0), 3] == of[(1, 2), 0] and len(set(of.values())) == 3


def test_only_as_many_samples_are_kept_as_there_is_room_for():
    rows = Rows(["lambda_1_sigma_1"], max_numbers=20_000, max_equations=100)
    number = 0
    for _ in range(50):
        chosen = rows.choose(20)
        x = (number + chosen).double().reshape(-1, 1, 1).expand(-1, 3, 200)
        y = {(0, 0): x[:, :, :2]}
        rows.add({"lambda_1_sigma_1": (Factors.of_rows(x), y)})
        number += 20
    x = rows.left("lambda_1_sigma_1")
    y = rows.right("lambda_1_sigma_1", (0, 0))
    assert 40 <= len(x) <= 100
    assert torch.equal(x[:, :2], y)
    assert x[:, 0].mean() == pytest.approx(500, abs=150)  # from everywhere
