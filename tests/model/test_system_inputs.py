"""Charge and spin multiplicity of structures as inputs."""

import ase
import pytest
import torch
from metatomic.torch import ModelOutput

from equivariance import assert_equivariant, operations
from helpers import cartesian, crystal, make_model, molecules, predict, prepare, target


NAMES = ["charge", "spin_multiplicity"]
TARGETS = {
    "energy": target(sample_kind="system"),
    "mtt::mu": cartesian(1, sample_kind="system"),
}
VARIANTS = {
    "separate networks": {"tensor_basis__neighbors": 4},
    "embedded types": {"species__type": "tensor_reduced"},
    "messages": {"messages__layers": 1, "messages__channels": 4},
}


def ion(frame, charge=0, spin_multiplicity=1):
    frame = frame.copy()
    frame.info = {"charge": charge, "spin_multiplicity": spin_multiplicity}
    return frame


def model_with(names=NAMES, **changes):
    model = make_model(
        TARGETS,
        expansion__basis__max_angular=3,
        network__num_neurons_per_layer=8,
        tensor_basis__num_channels=2,
        system_inputs=names,
        **changes,
    )
    for block in (b for head in model.model.heads().values() for b in head.blocks):
        if block.linear is not None:  # zero before a training
            torch.nn.init.normal_(block.linear.weight)
    return model


def energy(model, *frames):
    values = predict(model, list(frames), ["energy"], "system")["energy"].block().values
    return values.flatten().tolist()


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_energies_and_tensors_depend_on_the_state_and_stay_equivariant(changes):
    model = model_with(**changes)
    [frame] = molecules(1)
    states = [ion(frame), ion(frame, 1), ion(frame, -1), ion(frame, 0, 3)]
    for name in TARGETS:
        values = predict(model, states, [name], "system")[name].block().values
        for i in range(1, 4):
            assert (values[i] - values[0]).abs().max() > 1e-3 * values[0].abs().max()
    operation = operations()["improper rotation"]
    for state in states[1:]:
        assert_equivariant(model, state, list(TARGETS), operation, "system")


@pytest.mark.parametrize("charge, unpaired", [(0, 0), (1, 1), (-2, 2)])
def test_energies_are_extensive(charge, unpaired):
    """Copies with the charge and the unpaired electrons of all have their energy."""
    model = model_with()
    alone = ion(molecules(1)[0], charge, 1 + unpaired)
    copies = sum((alone for _ in range(2)), ase.Atoms())
    copies.positions[: len(alone)] += 50.0
    supercell = crystal().repeat((2, 1, 1))
    [of_one, of_two, of_cell, of_supercell] = energy(
        model,
        alone,
        ion(copies, 2 * charge, 1 + 2 * unpaired),
        ion(crystal(), charge, 1 + unpaired),
        ion(supercell, 2 * charge, 1 + 2 * unpaired),
    )
    assert of_two == pytest.approx(2 * of_one, rel=1e-12)
    assert of_supercell == pytest.approx(2 * of_cell, rel=1e-12)


def test_engines_must_have_whole_structures():
    assert model_with().export().capabilities().interaction_range == float("inf")


def test_a_neutral_closed_shell_is_the_zero_of_all_inputs():
    """Of the inputs, such structures see nothing, whatever other structures are."""
    model = model_with()
    systems = prepare(model, [ion(frame) for frame in molecules(2)])
    assert not model.model.inputs(systems).any()


def test_the_derivative_is_that_of_finite_differences():
    """Of the energy with respect to the charge: minus the electronegativity."""
    model = model_with(["charge"])
    [system] = prepare(model, [ion(molecules(1)[0], 0.3)])
    charge = system.get_data("charge").block().values.requires_grad_()
    output = model([system], {"energy": ModelOutput(sample_kind="system")})
    [slope] = torch.autograd.grad(output["energy"].block().values.sum(), charge)
    low, high = (energy(model, ion(molecules(1)[0], q))[0] for q in (0.299, 0.301))
    assert slope.item() == pytest.approx((high - low) / 0.002, rel=1e-5)


@pytest.mark.parametrize(
    "info, message",
    [
        ({}, "structure 1 .* has no 'charge', which this model reads: give it as"),
        ({"charge": torch.nan}, "structure 1 .* no possible 'charge': one finite"),
        ({"charge": 0, "spin_multiplicity": 0}, "2S . 1 .* at least 1"),
    ],
)
def test_structures_without_a_possible_state_are_refused(info, message):
    model = model_with()
    wrong = ion(molecules(1)[0])
    wrong.info = {"spin_multiplicity": 1, **info}
    with pytest.raises(ValueError, match=message):
        energy(model, ion(molecules(1)[0]), wrong)
