"""Tensor-reduced densities and their invariants."""

from pathlib import Path

import ase
import ase.io
import numpy as np
import pytest
import torch
from metatrain.utils.io import load_model

from helpers import (
    TYPES,
    Expansion,
    cluster,
    crystal,
    hypers,
    make_model,
    molecules,
    predict,
    prepare,
    spherical,
    target,
)
from metatrain_scalar_tensor.interface.log import log_species
from metatrain_scalar_tensor.invariants import ChannelwiseInvariants
from metatrain_scalar_tensor.o3 import clebsch_gordan
from options import train_in, write_options


pytestmark = pytest.mark.usefixtures("in_temporary_folder")


MANY_TYPES = list(range(1, 90))
REDUCED = {
    "species__type": "tensor_reduced",
    "species__num_channels": 12,
}
TARGETS = {"y": spherical((1, 1), (2, -1)), "energy": target()}


def densities(species, engine, frames):
    torch.manual_seed(0)
    expansion = hypers()["expansion"]
    species = {**hypers()["species"], "type": species}
    expand = Expansion(expansion, engine, species)
    return expand.density, expand(prepare(expand, frames))


@pytest.mark.parametrize("engine", ["featomic", "torch"])
def test_channels_are_combinations_of_types_and_radial_functions(engine):
    frames = [*molecules(2), crystal(), ase.Atoms("O", [[0.0, 0.0, 0.0]])]
    module, reduced = densities("tensor_reduced", engine, frames)
    _, orthogonal = densities("orthogonal", engine, frames)
    for l, (x, y) in enumerate(zip(orthogonal, reduced)):
        x = x.unflatten(2, (len(TYPES), -1))
        e, v = module.species.embedding, module.species.radial[l]
        expected = torch.einsum("imqn,qk,nk->imk", x, e, v)
        torch.testing.assert_close(y, expected, atol=1e-11, rtol=1e-9)


def test_invariants_are_coupled_products_of_every_order():
    max_angular, num_channels = 3, 2
    torch.manual_seed(0)
    x = [torch.randn(5, 2 * l + 1, num_channels).double() for l in range(4)]
    of_order = {
        order: ChannelwiseInvariants(max_angular, num_channels, order).double()(x)
        for order in (2, 3, 4)
    }
    squares = []
    for l in range(max_angular + 1):
        # ∫ Y_l1 Y_l2 Y_l of three real harmonics, by Clebsch–Gordan coefficients
        square = torch.zeros_like(x[l])
        for l1 in range(max_angular + 1):
            for l2 in range(max_angular + 1):
                if abs(l1 - l2) <= l <= l1 + l2 and (l1 + l2 + l) % 2 == 0:
                    c = clebsch_gordan(l1, l2, l)
                    gaunt = (2 * l1 + 1) * (2 * l2 + 1) / (4 * torch.pi * (2 * l + 1))
                    c = c * c[l1, l2, l] * gaunt**0.5
                    square += torch.einsum("imk,ink,mno->iok", x[l1], x[l2], c)
        squares.append(square / ((max_angular + 1) ** 2 / (4 * torch.pi)))
    expected = [x[0][:, 0]]
    for first, second in ((x, x), (x, squares), (squares, squares)):
        terms = [
            (a * b).sum(1) / (2 * l + 1) ** 0.5
            for l, (a, b) in enumerate(zip(first, second))
        ]
        expected.append(torch.stack(terms, dim=2).flatten(1))  # channels, then l
        order = len(expected)
        if order in of_order:
            torch.testing.assert_close(
                of_order[order], torch.cat(expected, dim=1), atol=1e-11, rtol=1e-9
            )


def copy_types(few, many):
    """Give a model of many types the weights of one of the first few."""
    state = many.state_dict()
    rows = torch.tensor(TYPES) - 1
    for name, value in few.state_dict().items():
        if name.startswith("baseline.") or ".members." in name:  # no ensembles
            continue
        if state[name].shape == value.shape:
            state[name] = value
        else:
            state[name][rows] = value
    many.load_state_dict(state)


@pytest.mark.parametrize("correlation_order", [2, 3, 4])
def test_other_types_that_a_model_knows_change_nothing(correlation_order):
    changes = {**REDUCED, "species__correlation_order": correlation_order}
    few = make_model(TARGETS, **changes)
    many = make_model(TARGETS, MANY_TYPES, **changes)
    copy_types(few, many)
    frames = [*molecules(2), crystal(), cluster(12)]
    expected = predict(few, frames, TARGETS)
    for name, values in predict(many, frames, TARGETS).items():
        for ours, reference in zip(values.blocks(), expected[name].blocks()):
            torch.testing.assert_close(
                ours.values, reference.values, atol=1e-12, rtol=1e-12
            )


def test_every_further_type_costs_a_row_of_a_table():
    sizes = []
    for types in (TYPES, MANY_TYPES):
        model = make_model(TARGETS, types, **REDUCED)
        sizes.append(sum(p.numel() for p in model.parameters()))
    num_channels = REDUCED["species__num_channels"]
    width = hypers()["network"]["num_neurons_per_layer"]
    # of the embedding, scale and shift of centers, and the linear term of the energy
    row = num_channels + 2 * width + model.model.invariants.size
    assert sizes[1] - sizes[0] == (len(MANY_TYPES) - len(TYPES)) * row


def composition_weights(model):
    """Of the energy and of the isotropic part of the polarizability."""
    energy, alpha = model.baseline.composition_models()
    return [
        composition.model.weights[name].block().values.flatten()
        for composition, name in ((energy, "energy"), (alpha, "mtt::alpha"))
    ]


WEIGHTS = {6: 2.0, 7: 7.0, 8: 3.0}


def trained(name, numbers, targets=("energy", "mtt::alpha"), species=None, **training):
    """A model of energies and polarizabilities given by the composition.

    For carbon, nitrogen and oxygen, if it is trained from scratch.
    """
    rng = np.random.default_rng(0)
    frames = [cluster(rng.integers(3, 7), i, numbers) for i in range(20)]
    for frame in frames:
        total = sum(WEIGHTS[z] for z in frame.numbers)
        frame.info["energy"] = 1000.0 * total
        frame.info["alpha"] = total * np.eye(3).reshape(-1)
    folder = Path(name).absolute()
    folder.mkdir()
    ase.io.write(folder / "data.xyz", frames, format="extxyz")
    options = write_options(
        systems=folder / "data.xyz",
        architecture__training={"num_epochs": 1, **training},
        architecture__model={
            "species": species or {"type": "tensor_reduced", "num_channels": 4},
        },
    )
    of_data = {
        "energy": {"key": "energy", "unit": "eV"},
        "mtt::alpha": {"key": "alpha", "type": {"cartesian": {"rank": 2}}},
    }
    options.training_set.targets = {name: of_data[name] for name in targets}
    if species is not None and "finetune" not in training:
        options.architecture.atomic_types = list(WEIGHTS)
    train_in(folder, options)
    return load_model(folder / "model.ckpt").double().eval()


def test_finetuning_learns_to_know_further_types():
    before = trained("few", [6, 8])
    finetune = {"read_from": str(Path("few/model.ckpt").absolute())}
    after = trained("more", [6, 7, 8], finetune=finetune, learning_rate=1e-30)
    assert after.atomic_types == [6, 7, 8]

    frame = cluster(6, 99, [6, 8])
    for name in ("energy", "mtt::alpha"):
        old, new = (predict(m, [frame], [name])[name] for m in (before, after))
        torch.testing.assert_close(
            new.block().values, old.block().values, atol=1e-9, rtol=1e-9
        )
    old, new = composition_weights(before), composition_weights(after)
    for w_old, w_new, scale in zip(old, new, (1000.0, 1.0)):
        assert torch.equal(w_new[[0, 2]], w_old)
        assert w_new[1].item() == pytest.approx(WEIGHTS[7] * scale, rel=1e-6)

    # targets without new data stay as they are
    for name, other in (("energy", "mtt::alpha"), ("mtt::alpha", "energy")):
        heads = {**finetune, "method": "heads"}
        after = trained(f"only {name}", [6, 7, 8], [name], finetune=heads)
        old, new = (predict(m, [frame], [other])[other] for m in (before, after))
        torch.testing.assert_close(
            new.block().values, old.block().values, atol=1e-9, rtol=1e-9
        )


@pytest.mark.parametrize("species", ["orthogonal", "tensor_reduced"])
def test_types_that_a_model_is_prepared_for_are_fitted_when_there_are_data(species):
    species = {"type": species}
    before = trained("prepared", [6, 8], species=species)
    finetune = {"read_from": str(Path("prepared/model.ckpt").absolute())}
    after = trained("more", [6, 7, 8], species=species, finetune=finetune)
    for w_old, w_new, scale in zip(
        composition_weights(before), composition_weights(after), (1000.0, 1.0)
    ):
        assert w_old[1] == 0.0
        assert torch.equal(w_new[[0, 2]], w_old[[0, 2]])
        assert w_new[1].item() == pytest.approx(WEIGHTS[7] * scale, rel=1e-6)


@pytest.mark.parametrize("number, chosen", [(10, "orthogonal"), (11, "tensor_reduced")])
def test_the_default_depends_on_the_number_of_types(number, chosen, caplog):
    types = list(range(1, number + 1))
    shapes = [
        {name: weights.shape for name, weights in model.named_parameters()}
        for model in (
            make_model(TARGETS, types, species__num_channels=12, **changes)
            for changes in ({}, {"species__type": chosen})
        )
    ]
    assert shapes[0] == shapes[1]
    with caplog.at_level("INFO"):
        log_species(hypers(), number)
    is_many = "11 atomic types are many: 'model.species.type' is 'tensor_reduced'"
    assert caplog.messages == ([is_many] if number == 11 else [])
