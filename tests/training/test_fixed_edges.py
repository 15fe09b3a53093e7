"""Edges of structures in memory, whose functions are linear around where these are."""

import pytest
import torch
from metatrain.utils.data.target_info import get_energy_target_info
from metatrain.utils.evaluate_model import evaluate_model

from helpers import crystal, make_model, molecules, prepare, target
from metatrain_scalar_tensor.training.cache import FromMemory
from metatrain_scalar_tensor.training.cache.fixed_edges import EdgesInMemory


FRAMES = [*molecules(2), crystal(0), crystal(1)]
TARGETS = {"energy": target(sample_kind="system")}
MODELS = {
    "default": {},
    "messages": {"messages__layers": 1, "expansion__basis__radial__type": "Bessel"},
    "tensor-reduced": {"species__type": "tensor_reduced"},
    "smooth": {"expansion__cutoff__smoothing": {"type": "Smoothstep", "width": 1.0}},
}


@pytest.mark.parametrize("with_strain", [False, True])
@pytest.mark.parametrize("changes", MODELS.values(), ids=MODELS)
def test_energies_forces_and_their_weights_learn_the_same(changes, with_strain):
    """Derivatives of a loss of energies, forces and virials are those of the model."""
    info = get_energy_target_info("energy", {"unit": "eV"}, True, with_strain)
    model = make_model(TARGETS, **changes).train()
    in_memory = EdgesInMemory(model.model.edges, prepare(model, FRAMES), True)
    in_memory.evaluate()
    numbers = [2, 0, 3]
    systems = prepare(model, [FRAMES[i] for i in numbers])
    edges = in_memory.take(torch.tensor(numbers))
    weights = list(model.parameters())
    results = []
    for module in (model, FromMemory(model, edges, None)):
        energy = evaluate_model(module, systems, {"energy": info}, is_training=True)
        block = energy["energy"].block()
        values = [block.values, block.gradient("positions").values]
        if with_strain:
            values.append(block.gradient("strain").values)
        loss = sum(x.pow(2).sum() for x in values)
        gradients = torch.autograd.grad(loss, weights, allow_unused=True)
        results.append(values + [g for g in gradients if g is not None])
    assert len(results[0]) == len(results[1]) > 10
    for ours, expected in zip(*results[::-1]):
        scale = max(1.0, expected.abs().max().item())
        assert (ours - expected).abs().max() < 1e-10 * scale


def test_size_is_what_is_kept():
    model = make_model(TARGETS)
    for with_slopes in (False, True):
        edges = EdgesInMemory(model.model.edges, prepare(model, FRAMES), with_slopes)
        edges.evaluate()
        kept = edges.values.nbytes + (edges.slopes.nbytes if with_slopes else 0)
        assert edges.size == kept
