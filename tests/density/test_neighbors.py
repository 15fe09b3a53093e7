"""The exact neighbor sum."""

import ase
import pytest
import torch
from metatensor.torch import Labels

from helpers import crystal, hypers, make_model, molecules, predict, prepare, spherical
from metatrain_scalar_tensor.density import NeighborSum
from metatrain_scalar_tensor.o3 import SphericalHarmonics
from metatrain_scalar_tensor.structures import EdgeFunctions, read_neighbor_list


CUTOFF = hypers()["expansion"]["cutoff"]["radius"]
TARGETS = {"mtt::y": spherical((2, 1))}


def test_sum_is_over_scalars_of_both_atoms_times_harmonics():
    torch.manual_seed(0)
    model = make_model(TARGETS)
    module = NeighborSum(hypers()["expansion"], 5, 3).double()
    systems = prepare(model, [crystal(), *molecules(1)])
    features = torch.randn(sum(len(s) for s in systems), 5).double()
    expected = torch.zeros(len(features), 49, 3).double()
    functions = EdgeFunctions(hypers()["expansion"]).double()
    neighbor_list = read_neighbor_list(systems, functions.neighbor_list)
    first, second, _, vectors = neighbor_list
    harmonics = SphericalHarmonics(6).double()
    for i, j, r in [*zip(first, second, vectors), *zip(second, first, -vectors)]:
        distance = r.norm().reshape(1)
        radial, cutoff = functions.radial(distance)
        mixing = functions.radial.mixing_of(radial)
        hidden = (
            module.of_center(features[i])
            + module.of_neighbor(features[j])
            + radial @ mixing[:, :8] @ module.of_distance.weight.T
        )
        scalars = module.mix(torch.nn.functional.silu(hidden))
        harmonic = harmonics((r / distance).unsqueeze(0))
        expected[i] += harmonic.T * scalars * cutoff
    edges = functions(neighbor_list, model.read.types(systems))
    values = torch.cat(module(features, edges), dim=1)
    torch.testing.assert_close(values, expected, atol=1e-11, rtol=1e-9)


@pytest.mark.parametrize("neighbors, reach", [(None, 1), (4, 2)])
def test_predictions_reach_as_far_as_the_model_says(neighbors, reach):
    model = make_model(TARGETS, tensor_basis__neighbors=neighbors)
    assert model.export().capabilities().interaction_range == reach * CUTOFF

    def at_first_atom(distance):
        """A chain of three atoms, the last one moving aside."""
        last = [0.5, 0.0, distance]
        chain = ase.Atoms("CNO", [[0.0, 0.0, 0.0], [0.0, 0.3, 0.8 * CUTOFF], last])
        values = predict(model, [chain], TARGETS)["mtt::y"].block().values
        return values[0].detach()

    alone = at_first_atom(10 * CUTOFF)
    difference = (at_first_atom(1.4 * CUTOFF) - alone).abs().max()
    assert (difference > 1e-8) == (reach == 2)
    assert (at_first_atom(2.1 * CUTOFF) - alone).abs().max() < 1e-12
    if reach == 2:  # the middle atom loses the last one smoothly
        edge = 1.8 * CUTOFF
        steps = [
            (at_first_atom(edge - d) - at_first_atom(edge + 0.1)).abs().max()
            for d in (0.04, 0.02)
        ]
        assert steps[0] < 1e-3 and steps[1] < steps[0]


def test_scripted_model_and_selected_atoms_agree_with_the_whole():
    model = make_model(TARGETS, tensor_basis__neighbors=4)
    frames = [crystal(), *molecules(1)]
    systems = prepare(model, frames)
    outputs = {"mtt::y": model.outputs["mtt::y"]}
    selected = Labels(["system", "atom"], torch.tensor([[0, 1], [1, 2]]))
    whole = model(systems, outputs)["mtt::y"].block().values
    part = torch.jit.script(model)(systems, outputs, selected)["mtt::y"].block()
    assert part.samples == selected
    rows = torch.tensor([1, len(frames[0]) + 2])
    torch.testing.assert_close(part.values, whole[rows], atol=1e-12, rtol=1e-12)
