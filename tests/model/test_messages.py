"""Equivariant message passing."""

import ase
import numpy as np
import pytest
import torch
from metatomic.torch import ModelOutput, System, register_autograd_neighbors

from equivariance import FRAMES, assert_equivariant, operations
from helpers import (
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
from metatrain_scalar_tensor.interface.outputs import atom_labels
from metatrain_scalar_tensor.messages import Messages, components_first
from metatrain_scalar_tensor.messages.powers import SpherePowers
from metatrain_scalar_tensor.messages.receive import Receive
from metatrain_scalar_tensor.o3 import SphereGrid, SphericalGaunt


CUTOFF = hypers()["expansion"]["cutoff"]["radius"]
TARGETS = {"mtt::y": spherical((0, 1), (2, 1), (3, -1)), "energy": target()}


def model_with(layers, **changes):
    changes = {"messages__layers": layers, "messages__channels": 4, **changes}
    return make_model(TARGETS, **changes)


@pytest.mark.parametrize("representation", ["spherical", "cartesian"])
@pytest.mark.parametrize("species", ["orthogonal", "tensor_reduced"])
@pytest.mark.parametrize("matrix", operations().values(), ids=operations())
def test_equivariance(matrix, species, representation):
    model = model_with(
        2, species__type=species, messages__representation=representation
    )
    for frame in FRAMES.values():
        assert_equivariant(model, frame, ["mtt::y"], matrix)


def test_received_tensors_are_products_of_functions_on_the_sphere():
    """Sender's function times the harmonics of the edge, with both radial functions."""
    torch.manual_seed(0)
    model = model_with(1)
    systems = prepare(model, [cluster(5)])
    messages: Messages = model.model.messages
    density, edges = model.model.look(model.read(systems))
    receive: Receive = messages.layers[0].receive
    receive.paths.data.fill_(1.0)
    types = model.read(systems).types
    tensors = messages.first(components_first(density), types, only_scalars=False)
    sent = receive.send(tensors).transpose(0, 1)  # (atoms, λ · μ, k)
    received = receive(tensors, edges).transpose(0, 1)

    max_angular = model.hypers["expansion"]["basis"]["max_angular"]
    sphere = SphereGrid(max_angular, 3 * max_angular).double()
    num_sent, num_radial = len(receive.rank), receive.of_sent.in_features
    of_sent = receive.of_sent.weight.reshape(receive.num_channels, -1, num_radial)
    of_harmonics = receive.of_harmonics.weight.reshape(
        receive.num_sets, -1, num_radial
    ).sum(0)
    expected = torch.zeros_like(received)
    for place in range(edges.neighbors.shape[1]):
        functions = edges.radial[:, place] @ edges.mixing[:, :num_radial]
        radial = torch.einsum("in,kln->ilk", functions, of_sent)[:, receive.rank]
        on_edges = sent[edges.neighbors[:, place]] * radial
        values = sphere.harmonics[:, :num_sent] @ on_edges
        radial = torch.einsum("in,ln->il", functions, of_harmonics)
        harmonics = edges.harmonics[:, place] * radial[:, receive.angular]
        values = values * sphere(harmonics.unsqueeze(2))
        expected += sphere.project(values, max_angular) * receive.scale
    torch.testing.assert_close(received, expected, atol=1e-11, rtol=1e-9)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_powers_are_products_of_functions_on_the_sphere(order):
    """Up to a product of all factors, which is coupled without truncation."""
    torch.manual_seed(0)
    max_angular, max_rank, k = 2, 1, 3
    powers = SpherePowers(k, k, max_angular, max_rank, order, num_types=2).double()
    tensors, types = torch.randn(9, 4, k).double(), torch.tensor([0, 1, 1, 0])
    weights = powers.weights[types].reshape(4, order, 2, k)[:, :, [0, 1, 1, 1]]
    weights = weights.transpose(0, 2)  # (L · M, ν, atoms, k)
    product = powers.factors[0](tensors)
    expected = product[:4] * weights[:, 0]
    for i in range(1, order):
        ranks = (i * max_angular, max_angular, (i + 1) * max_angular)
        gaunt = SphericalGaunt(*ranks).double()
        factor = powers.factors[i](tensors)
        outer = torch.einsum("mak,nak->akmn", product, factor)
        product = gaunt(outer).permute(2, 0, 1)
        expected = expected + product[:4] * weights[:, i]
    expected = powers.mix(expected)
    torch.testing.assert_close(powers(tensors, types, only_scalars=False), expected)
    scalars = powers(tensors, types, only_scalars=True)
    torch.testing.assert_close(scalars, expected[:1])


def test_energies_alone_are_those_beside_tensors():
    """Where no tensors are requested, the last layer leaves them out."""
    frames = [crystal(), *molecules(2)]
    for max_rank in (0, 2):
        model = model_with(2, messages__max_rank=max_rank)
        beside = predict(model, frames, TARGETS)["energy"].block().values
        alone = predict(model, frames, {"energy": target()})["energy"].block().values
        torch.testing.assert_close(alone, beside, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("max_rank", [0, 1, 2, 3])
def test_both_representations_are_the_same_model(max_rank):
    frames = [crystal(), *molecules(1)]
    spherical_model, cartesian_model = [
        model_with(2, messages__max_rank=max_rank, messages__representation=name)
        for name in ("spherical", "cartesian")
    ]
    cartesian_model.load_state_dict(spherical_model.state_dict())
    expected = predict(spherical_model, frames, TARGETS)
    for name, values in predict(cartesian_model, frames, TARGETS).items():
        for ours, block in zip(values.blocks(), expected[name].blocks()):
            torch.testing.assert_close(ours.values, block.values)


def test_without_layers_nothing_changes():
    """Whatever the other options say, the model and its random weights are the same."""
    frames = [crystal(), *molecules(1)]
    reference = predict(make_model(TARGETS), frames, TARGETS)
    for name, values in predict(model_with(0), frames, TARGETS).items():
        for ours, block in zip(values.blocks(), reference[name].blocks()):
            assert torch.equal(ours.values, block.values)


@pytest.mark.parametrize("layers", [0, 1, 2])
def test_receptive_field(layers):
    """Predictions depend on what the exported model says, and on nothing beyond."""
    cutoff = 2.5  # so that atoms one after the other are as close as bonded ones
    model = make_model(
        {"energy": target()},
        messages__layers=layers,
        messages__channels=4,
        expansion__cutoff__radius=cutoff,
    )
    capabilities = model.export().capabilities()
    assert capabilities.interaction_range == (layers + 1) * cutoff

    # a chain whose links are within the cutoff, and second neighbors beyond it
    chain = ase.Atoms("CNOCN", [[0.0, 0.0, 0.6 * cutoff * i] for i in range(5)])
    reference = predict(model, [chain], ["energy"])["energy"].block().values[0]
    for moved in range(1, 5):
        other = chain.copy()
        other.positions[moved, 0] += 0.3
        energy = predict(model, [other], ["energy"])["energy"].block().values[0]
        difference = (energy - reference).abs().item()
        if moved <= layers + 1:
            assert difference > 1e-9, moved
        else:
            assert difference < 1e-12, moved


@pytest.mark.parametrize("radial", ["Gto", "Bessel"])
@pytest.mark.parametrize("switch, power", [("ShiftedCosine", 1), ("Smoothstep", 3)])
def test_forces_are_smooth_at_the_cutoff(switch, power, radial):
    """Close to it they differ by this power of the distance from it."""
    # with weights whose leading term is not small by chance
    model = model_with(
        1,
        seed=4,
        expansion__cutoff__smoothing__type=switch,
        expansion__basis__radial__type=radial,
    )

    def force(distance):
        """On the last of three atoms, which comes within reach of the middle one."""
        positions = torch.tensor(
            [[0.0, 0.0, 0.0], [0.0, 0.3, 3.0], [0.2, 0.0, 3.0 + distance]]
        ).double()
        frame = ase.Atoms("CNO", positions.numpy())
        [system] = prepare(model, [frame])
        positions = system.positions.clone().requires_grad_(True)
        moved = System(system.types, positions, system.cell, system.pbc)
        for options in system.known_neighbor_lists():
            neighbors = system.get_neighbor_list(options)
            register_autograd_neighbors(moved, neighbors, check_consistency=True)
            moved.add_neighbor_list(options, neighbors)
        outputs = {"energy": ModelOutput(sample_kind="system")}
        energy = model([moved], outputs)["energy"].block().values.sum()
        return torch.autograd.grad(energy, positions)[0][2]

    far = force(1.1 * CUTOFF)
    reach = np.sqrt(CUTOFF**2 - 0.2**2 - 0.3**2)
    inside = [(force(reach - d) - far).norm().item() for d in (0.02, 0.01, 0.005)]
    assert inside[0] / inside[1] == pytest.approx(2.0**power, rel=0.1)
    assert inside[1] / inside[2] == pytest.approx(2.0**power, rel=0.1)


@pytest.mark.parametrize("representation", ["spherical", "cartesian"])
def test_scripted_model_has_the_same_predictions(representation):
    model = model_with(
        2, tensor_basis__neighbors=3, messages__representation=representation
    )
    systems = prepare(model, [crystal(), *molecules(1)])
    outputs = {name: model.outputs[name] for name in TARGETS}
    selected = atom_labels(systems)
    expected = model(systems, outputs, None)
    for name, values in torch.jit.script(model)(systems, outputs, selected).items():
        for ours, block in zip(values.blocks(), expected[name].blocks()):
            torch.testing.assert_close(ours.values, block.values)


def test_lone_atoms_receive_nothing():
    model = model_with(1)
    lone = ase.Atoms("O", [[0.0, 0.0, 0.0]])
    values = predict(model, [lone], ["energy"])["energy"].block().values
    without = predict(model_with(0), [lone], ["energy"])["energy"].block().values
    assert torch.isfinite(values).all() and torch.isfinite(without).all()
    model.model.density.is_calibrated.fill_(False)
    model.calibrate([prepare(model, [lone])])
    for layer in model.model.messages.layers:
        assert layer.receive.scale.isfinite()


def test_the_largest_rank_of_calibrated_messages_has_unit_mean_square():
    """On the structures that they were calibrated with, by ``make_model``."""
    model = model_with(2)
    structures = model.read(prepare(model, [cluster(20)]))
    messages: Messages = model.model.messages
    density, edges = model.model.look(structures)
    tensors = messages.first(components_first(density), structures.types, False)
    for layer in messages.layers:
        received = layer.receive(tensors, edges)
        of_every_rank = received.split(messages.num_components)
        largest = max(values.pow(2).mean().item() for values in of_every_rank)
        assert largest == pytest.approx(1.0)
        tensors = layer(tensors, edges, structures.types, False)


def test_rank_must_exist():
    with pytest.raises(ValueError, match="'max_angular' 2: set 'model.messages.max_ra"):
        model_with(1, messages__max_rank=3, expansion__basis__max_angular=2)


def test_predictions_do_not_depend_on_what_else_is_in_the_batch():
    """Nor on the blocks of atoms that are worked on at a time."""
    model = model_with(1)
    frames = molecules(30)
    assert sum(map(len, frames)) > 2 * 128
    together = predict(model, frames, TARGETS)
    for name in TARGETS:
        alone = [predict(model, [x], {name: TARGETS[name]})[name] for x in frames]
        for key, block in together[name].items():
            values = torch.cat([tensor.block(key).values for tensor in alone])
            torch.testing.assert_close(block.values, values, atol=1e-11, rtol=1e-11)
