"""Every kind of target, and what else can be asked of a model."""

import ase
import ase.build
import numpy as np
import pytest
import torch
from metatensor.torch import Labels
from metatomic.torch import ModelOutput
from metatrain.utils.data.readers.metatensor import _check_tensor_map_metadata
from metatrain.utils.data.target_info import get_energy_target_info
from metatrain.utils.evaluate_model import evaluate_model

from helpers import (
    cartesian,
    cluster,
    crystal,
    dataset_info,
    make_model,
    molecules,
    predict,
    prepare,
    spherical,
    target,
)


BASIS = {  # orbitals of every type of atom
    1: [{"num": 2, "o3_lambda": 0, "o3_sigma": 1}],
    6: [
        {"num": 3, "o3_lambda": 0, "o3_sigma": 1},
        {"num": 2, "o3_lambda": 1, "o3_sigma": 1},
    ],
    7: [{"num": 1, "o3_lambda": 2, "o3_sigma": 1}],
    8: [{"num": 2, "o3_lambda": 1, "o3_sigma": 1}],
}
COUPLED = [
    {"num": 2, "o3_lambda": 0, "o3_sigma": 1},
    {"num": 1, "o3_lambda": 2, "o3_sigma": 1},
]
TARGETS = {
    "scalar": target(num_subtargets=7),
    "vector": cartesian(1, num_subtargets=2),
    "non_conservative_force": cartesian(1),
    "non_conservative_stress": cartesian(2),
    "matrix": cartesian(2),
    "rank_3": cartesian(3),
    "rank_4": cartesian(4),
    "spherical": spherical((0, 1), (0, -1), (3, -1), (6, 1), num_subtargets=3),
    "coupled": target(type={"spherical": {"product": "coupled", "irreps": COUPLED}}),
    "atomic_basis": target(type={"spherical": {"irreps": BASIS}}),
    "coupled_atomic_basis": target(
        type={"spherical": {"product": "coupled", "irreps": BASIS}}
    ),
}


@pytest.mark.parametrize("name", TARGETS)
def test_layout_is_that_of_the_target(name):
    model = make_model(TARGETS)  # all at once
    predictions = predict(model, molecules(3), [name])
    layout = model.dataset_info.targets[name].layout
    _check_tensor_map_metadata(predictions[name], layout)
    for block in predictions[name].blocks():
        assert block.values.isfinite().all()


@pytest.mark.parametrize("name", [n for n in TARGETS if "basis" not in n])
@pytest.mark.parametrize("sample_kind", ["atom", "system"])
def test_per_system_predictions_are_sums_over_atoms(name, sample_kind):
    model = make_model({name: {**TARGETS[name], "sample_kind": sample_kind}})
    frames = molecules(2)
    atoms = predict(model, frames, [name], "atom")[name]
    systems = predict(model, frames, [name], "system")[name]
    for key, block in systems.items():
        parts = atoms.block(key).values.split([len(frame) for frame in frames])
        total = torch.stack([part.sum(0) for part in parts])
        torch.testing.assert_close(block.values, total, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("species", ["orthogonal", "tensor_reduced"])
def test_selected_atoms_are_predicted_alone(species):
    model = make_model({"y": spherical((0, 1), (2, 1))}, species__type=species)
    frames = molecules(2)
    selection = Labels(["system", "atom"], torch.tensor([[0, 1], [1, 0], [1, 4]]))
    everything = predict(model, frames, ["y"])["y"]
    selected = predict(model, frames, ["y"], selected_atoms=selection)["y"]
    for key, block in selected.items():
        assert block.samples == selection
        rows = everything.block(key).samples.select(selection)
        torch.testing.assert_close(
            block.values, everything.block(key).values[rows], atol=1e-12, rtol=1e-12
        )


def test_scalars_are_linear_in_the_last_layer_features():
    """LLPR needs this: Bigi et al., arXiv:2403.02251."""
    model = make_model({"mtt::y": target(num_subtargets=3)})
    features_name = "mtt::aux::y_last_layer_features"
    results = predict(model, molecules(2), ["mtt::y", features_name])
    (weights_name,) = model.last_layer_parameter_names["mtt::y"]
    weights = model.state_dict()[weights_name]  # (properties, features)
    assert weights.shape[1] == model.last_layer_feature_size
    features = results[features_name].block().values
    torch.testing.assert_close(
        features @ weights.T, results["mtt::y"].block().values, atol=1e-12, rtol=0
    )


@pytest.mark.parametrize("species", ["orthogonal", "tensor_reduced"])
def test_every_type_has_coefficients_of_its_own_basis_functions(species):
    """As it has a network of its own; what all types have, they share."""
    on_basis = {"spherical": {"irreps": BASIS}}
    targets = {"basis": target(type=on_basis), "tensor": cartesian(1)}
    model = make_model(targets, species__type=species)
    found = {name: h.coefficients.num_kinds for name, h in model.model.heads().items()}
    number = len(model.atomic_types) if species == "orthogonal" else 1
    assert found == {"basis": number, "tensor": 1}


@pytest.mark.parametrize("is_exported", [False, True])
def test_nothing_with_basis_functions_has_blocks_without_samples(is_exported):
    """As no atom, or hydrogen where only other elements have them."""
    heavy = {6: BASIS[6], 8: BASIS[8]}
    on_basis = {"spherical": {"irreps": heavy}}
    matrix = {"spherical": {"irreps": heavy, "product": "coupled"}}
    targets = {
        "mtt::basis": target(type=on_basis),
        "mtt::onsite": target(type=matrix),
        "mtt::offsite": target(type=matrix, sample_kind="atom_pair"),
    }
    model = make_model(targets, atom_pairs__cutoff=4.0)
    requests = {name: model.outputs[name] for name in targets}
    hydrogen = prepare(model, [ase.Atoms("H2", [[0, 0, 0], [0, 0, 0.7]])])
    water = prepare(model, [ase.build.molecule("H2O")])
    module = torch.jit.script(model.eval()) if is_exported else model.eval()
    nothing = Labels(["system", "atom"], torch.zeros((0, 2), dtype=torch.int32))
    for found in (module(hydrogen, requests), module(water, requests, nothing)):
        for name in targets:
            layout = model.dataset_info.targets[name].layout
            assert found[name].keys == layout.keys
            assert all(len(block.samples) == 0 for block in found[name].blocks())
    for name, tensor in module(water, requests).items():
        assert sum(len(block.samples) for block in tensor.blocks()) > 0 or (
            name == "mtt::offsite"  # one oxygen
        )


def test_stress_is_symmetric_and_a_density():
    name = "non_conservative_stress"
    model = make_model({name: cartesian(2), "mtt::virial": cartesian(2)})
    with torch.no_grad():  # the same coefficients for both
        heads = model.model.heads()
        heads["mtt::virial"].load_state_dict(heads[name].state_dict())
    frame = crystal()
    results = predict(model, [frame], [name, "mtt::virial"], "system")
    stress, virial = (
        results[n].block().values[0, :, :, 0] for n in (name, "mtt::virial")
    )
    assert (virial - virial.T).abs().max() > 1e-3
    expected = (virial + virial.T) / 2 / frame.get_volume()
    torch.testing.assert_close(stress, expected, atol=1e-12, rtol=1e-12)

    molecule = predict(model, molecules(1), [name], "system")[name]
    assert molecule.block().values.abs().max() == 0.0  # no cell


def energy_model(**changes):
    info = dataset_info({"mtt::y": target()})
    info.targets["energy"] = get_energy_target_info(
        "energy", {"unit": "eV"}, add_position_gradients=True, add_strain_gradients=True
    )
    model = make_model({"mtt::y": target()}, **changes)
    return model.restart(info), info


def test_forces_and_virial_are_derivatives_of_the_energy():
    model, info = energy_model()
    frame = crystal()

    def energy(frame):
        return predict(model, [frame], ["energy"], "system")["energy"].block().values

    systems = prepare(model, [frame])
    targets = {"energy": info.targets["energy"]}
    block = evaluate_model(model, systems, targets, is_training=False)["energy"].block()

    delta = 1e-4
    numerical = np.zeros((len(frame), 3))
    for i, j in np.ndindex(numerical.shape):
        moved = [frame.copy(), frame.copy()]
        moved[0].positions[i, j] += delta
        moved[1].positions[i, j] -= delta
        numerical[i, j] = (energy(moved[0]) - energy(moved[1])).item() / (2 * delta)
    analytical = block.gradient("positions").values[:, :, 0].detach().numpy()
    np.testing.assert_allclose(analytical, numerical, atol=1e-6, rtol=1e-5)

    numerical = np.zeros((3, 3))
    for i, j in np.ndindex(3, 3):
        strained = []
        for sign in (1, -1):
            strain = np.eye(3)
            strain[i, j] += sign * delta
            strained.append(frame.copy())
            strained[-1].set_cell(frame.cell.array @ strain, scale_atoms=True)
        numerical[i, j] = (energy(strained[0]) - energy(strained[1])).item() / 2 / delta
    analytical = block.gradient("strain").values[0, :, :, 0].detach().numpy()
    np.testing.assert_allclose(analytical, numerical, atol=1e-5, rtol=1e-4)


def test_zbl_repels_nuclei_that_come_too_close():
    def energy(model, distance):
        pair = ase.Atoms("CO", [[0.0, 0.0, 0.0], [0.0, 0.0, distance]])
        return predict(model, [pair], ["energy"], "system")["energy"].block().values

    info = energy_model()[1]
    torch.manual_seed(0)
    plain = make_model({"mtt::y": target()}).restart(info)
    repelling = type(plain)({**plain.hypers, "zbl": True}, info).double().eval()
    with torch.no_grad():
        state = plain.state_dict()
        repelling.load_state_dict(state, strict=False)
    difference = [energy(repelling, d) - energy(plain, d) for d in (0.1, 0.3, 4.0)]
    assert difference[0] > difference[1] > 10.0  # eV
    assert difference[2].abs() < 1e-9


def test_long_range_features_reach_beyond_the_cutoff():
    long_range = {
        "enable": True,
        "use_ewald": True,
        "smearing": 1.4,
        "kspace_resolution": 1.33,
        "interpolation_nodes": 5,
    }
    frames = [molecules(1)[0] for _ in range(2)]
    for frame, distance in zip(frames, (20.0, 30.0)):
        ion = ase.Atoms("O", [frame.positions[0] + [0.0, 0.0, distance]])
        frame.extend(ion)

    def at_first_atom(model, frame):
        return predict(model, [frame], ["mtt::y"])["mtt::y"].block(0).values[0]

    local = make_model({"mtt::y": spherical((1, 1))})
    assert torch.equal(at_first_atom(local, frames[0]), at_first_atom(local, frames[1]))
    model = make_model({"mtt::y": spherical((1, 1))}, long_range=long_range)
    change = at_first_atom(model, frames[0]) - at_first_atom(model, frames[1])
    assert change.abs().max() > 1e-6
    assert model.export().capabilities().interaction_range == float("inf")
    predict(model, [crystal()], ["mtt::y"])  # periodic
    slab = crystal()
    slab.pbc[2], slab.cell[2] = False, 0.0
    with pytest.raises(ValueError, match="periodic in some directions only, and long"):
        predict(model, [slab], ["mtt::y"])


def test_interaction_range_is_the_cutoff():
    model = make_model({"mtt::y": target()}, expansion__cutoff__radius=4.5)
    assert model.export().capabilities().interaction_range == 4.5


def test_float32_agrees_with_float64():
    frames = [cluster(12), crystal()]
    double = make_model({"y": spherical((0, 1), (4, -1))})
    reference = predict(double, frames, ["y"])["y"]
    single = predict(double.float(), frames, ["y"])["y"]
    for key, block in single.items():
        assert block.values.dtype == torch.float32
        expected = reference.block(key).values
        error = (block.values - expected).abs().max() / expected.abs().max()
        assert error < 1e-4


def test_requested_outputs_only():
    model = make_model(TARGETS)
    systems = prepare(model, molecules(1))
    assert model(systems, {}) == {}
    outputs = {"scalar": ModelOutput(sample_kind="atom")}
    assert list(model(systems, outputs)) == ["scalar"]
