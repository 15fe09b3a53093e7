"""Ensembles of heads as outputs of models with random weights."""

import pytest
import torch
from metatensor.torch import Labels
from metatomic.torch import ModelOutput

from atom_pairs import ATOM_TARGETS, CUTOFF, PAIR_TARGETS
from equivariance import FRAMES, assert_equivariant, operations, transformed
from helpers import cartesian, make_model, molecules, prepare, spherical, target
from metatrain_scalar_tensor.readout.members import Members


NUMBER = 3
TARGETS = {
    "energy": target(unit="eV", sample_kind="system"),
    "energy/pbe": target(unit="eV", sample_kind="system"),
    "mtt::dipole": cartesian(1, num_subtargets=2),
    "mtt::alpha": cartesian(2),
    "mtt::irreps": spherical((0, 1), (2, 1), (1, -1)),
}
ALL = {**TARGETS, **ATOM_TARGETS, **PAIR_TARGETS}


def members_of(model):
    """The modules with differences of weights."""
    heads = model.model.heads().values()
    return [m for head in heads for m in head.modules() if isinstance(m, Members)]


def model_with_ensembles(targets):
    """Members with a mean of zero, and a composition baseline for scalars."""
    model = make_model(targets, atom_pairs__cutoff=CUTOFF)
    for head in model.model.heads().values():
        head.reset_members(NUMBER)
    for members in members_of(model):
        torch.nn.init.normal_(members.differences)
        members.differences -= members.differences.mean(0)
    for table in model.baseline.tables.values():
        for block in table.blocks:
            scale, shift = block.scale.sum(0), block.shift.sum(0)
            if shift.dim() == 2:  # scalars
                shift = torch.randn_like(shift)
            block.fill(torch.rand_like(scale), shift)
    model.offer_ensembles()
    return model


@pytest.fixture(scope="module")
def model():
    return model_with_ensembles(ALL)


def outputs(model, frames, names, sample_kind=None, selected_atoms=None):
    """Outputs of atoms or pairs, by default."""
    request = {
        name: ModelOutput(sample_kind=sample_kind or model.outputs[name].sample_kind)
        for name in names
    }
    with torch.no_grad():
        return model(prepare(model, frames), request, selected_atoms)


def of_member(block, member):
    """The values of a member in a block with all of them."""
    values = block.values.reshape(*block.values.shape[:-1], NUMBER, -1)
    return values[..., member, :]


def test_names_are_those_of_metatomic_and_metatrain(model):
    assert model.ensemble_names["energy"] == ["energy_ensemble", "energy_uncertainty"]
    assert model.ensemble_names["energy/pbe"][1] == "energy_uncertainty/pbe"
    assert model.ensemble_names["mtt::alpha"][0] == "mtt::aux::alpha_ensemble"
    tensors = outputs(model, FRAMES.values(), ["energy_ensemble"])
    properties = tensors["energy_ensemble"].block().properties
    assert properties == Labels.range("energy", NUMBER)
    tensors = outputs(model, FRAMES.values(), ["mtt::aux::dipole_ensemble"])
    properties = tensors["mtt::aux::dipole_ensemble"].block().properties
    assert properties.names == ["ensemble_member", "dipole"]


@pytest.fixture(scope="module")
def of_weights(model):
    """What the weights of every member predict."""
    state = {key: x.clone() for key, x in model.state_dict().items()}
    predictions = []
    for m in range(NUMBER):
        for head in model.model.heads().values():
            linear = [block.linear for block in head.blocks]
            for layer in (head.coefficients, *linear):
                if layer is not None:
                    layer.weight.data += layer.members.differences[m]
        predictions.append(outputs(model, FRAMES.values(), ALL))
        model.load_state_dict(state)
    return predictions


@pytest.fixture(scope="module")
def of_ensembles(model):
    """All members and uncertainties."""
    names = [name for names in model.ensemble_names.values() for name in names]
    return outputs(model, FRAMES.values(), names)


@pytest.mark.parametrize("name", ALL)
def test_a_member_is_the_prediction_of_its_weights(
    model, of_weights, of_ensembles, name
):
    """And the uncertainty is the standard deviation of all of them."""
    of_members, spread = model.ensemble_names[name]
    for i, block in enumerate(of_ensembles[of_members].blocks()):
        expected = torch.stack([p[name].block(i).values for p in of_weights])
        for m in range(NUMBER):
            torch.testing.assert_close(of_member(block, m), expected[m])
        variance = expected.var(0).unsqueeze(1).flatten(1, -2).mean(1)
        values = of_ensembles[spread].block(i).values
        assert (values > 0).all() or len(values) == 0
        torch.testing.assert_close(values, variance.sqrt())


@pytest.mark.parametrize("operation", ["rotation", "improper rotation"])
def test_members_rotate_and_uncertainties_do_not(model, operation):
    frame, matrix = FRAMES["molecule"], operations()[operation]
    rotating = [model.ensemble_names[name][0] for name in TARGETS]
    assert_equivariant(model, frame, rotating, matrix)
    assert_equivariant(model, frame, rotating, matrix, sample_kind="system")
    names = [spread for _, spread in model.ensemble_names.values()]
    before, after = (
        outputs(model, [f], names) for f in (frame, transformed(frame, matrix))
    )
    for name in names:
        for x, y in zip(before[name].blocks(), after[name].blocks()):
            assert len(x.components) == 0
            torch.testing.assert_close(x.values, y.values, rtol=1e-9, atol=0)


def test_members_of_structures_are_sums_over_atoms(model):
    """Of the selected ones, if some are; uncertainties are not sums."""
    frames = molecules(2)
    for name in TARGETS:
        of_members, spread = model.ensemble_names[name]
        of_atoms = outputs(model, frames, [of_members], "atom")[of_members]
        for chosen in (slice(None), slice(1, 4)):
            samples = of_atoms.block(0).samples.values[chosen]
            selected = Labels(["system", "atom"], samples)
            found = outputs(model, frames, [of_members, spread], "system", selected)
            for i, block in enumerate(of_atoms.blocks()):
                values = block.values[chosen]
                sums = torch.stack([values[samples[:, 0] == s].sum(0) for s in (0, 1)])
                sums = sums[: len(found[of_members].block(i).samples)]
                torch.testing.assert_close(found[of_members].block(i).values, sums)
                members = sums.reshape(*sums.shape[:-1], NUMBER, -1)
                deviation = members.var(-2).unsqueeze(1).flatten(1, -2).mean(1).sqrt()
                torch.testing.assert_close(found[spread].block(i).values, deviation)


def test_one_request_may_have_atoms_and_structures(model):
    """As that of metatomic's ASE calculator."""
    names = {"energy": "system", "energy_uncertainty": "atom"}
    request = {name: ModelOutput(sample_kind=kind) for name, kind in names.items()}
    frames = molecules(2)
    found = model(prepare(model, frames), request)
    for name, number in (("energy", 2), ("energy_uncertainty", sum(map(len, frames)))):
        assert len(found[name].block().samples) == number


def test_new_types_remove_ensembles():
    """They would say nothing about the uncertainty of new types."""
    model = make_model(TARGETS, [1, 6], species__type="tensor_reduced")
    for head in model.model.heads().values():
        head.reset_members(NUMBER)
    model.offer_ensembles()
    model._add_types([1, 6, 8])
    assert model.ensemble_names == {}
    assert all(len(members.differences) == 0 for members in members_of(model))
