"""The optimizer for message passing."""

import pytest
import torch

from metatrain_scalar_tensor.training.optimizer import make_optimizer


def _network():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(16, 12), torch.nn.Linear(12, 1)).double()


def _step(optimizer, network, x):
    optimizer.zero_grad()
    network(x).square().mean().backward()
    optimizer.step()


def test_steps_of_matrices_are_equally_large_in_all_directions():
    network = _network()
    optimizer = make_optimizer("Muon", network, list(network.parameters()), 0.01)
    u, _, v = torch.linalg.svd(torch.randn(12, 16).double(), full_matrices=False)
    sizes = torch.logspace(0, -1.5, 12).double()
    before = network[0].weight.detach().clone()
    for weights in network.parameters():
        weights.grad = torch.zeros_like(weights)
    network[0].weight.grad = u @ torch.diag(sizes) @ v
    optimizer.step()
    steps = torch.linalg.svdvals(before - network[0].weight.detach())
    assert steps.max() / steps.min() < 2.5  # of the gradient: 32
    # as large as steps of Adam, whose root mean square is about 0.2 learning rates
    size = (before - network[0].weight).square().mean().sqrt().item()
    assert size == pytest.approx(0.2 * 0.01, rel=0.2)


def test_other_weights_are_those_of_adam():
    """Biases, and matrices with few rows."""
    network = _network()
    for weights in network.parameters():
        weights.grad = torch.randn_like(weights)
    others = [network[0].bias, network[1].weight, network[1].bias]
    copies = [w.detach().clone().requires_grad_(True) for w in others]
    for copy, weights in zip(copies, others):
        copy.grad = weights.grad.clone()
    make_optimizer("Muon", network, list(network.parameters()), 0.01).step()
    torch.optim.Adam(copies, lr=0.01, amsgrad=True).step()
    for copy, weights in zip(copies, others):
        torch.testing.assert_close(weights, copy)


@pytest.mark.parametrize("kind", ["Adam", "Muon"])
def test_goes_on_from_its_state(kind):
    x = torch.linspace(-1, 1, 80).reshape(5, 16).double()
    whole, parts = _network(), _network()
    optimizer = make_optimizer(kind, whole, list(whole.parameters()), 0.01)
    for _ in range(4):
        _step(optimizer, whole, x)
    first = make_optimizer(kind, parts, list(parts.parameters()), 0.01)
    for _ in range(2):
        _step(first, parts, x)
    second = make_optimizer(kind, parts, list(parts.parameters()), 0.01)
    second.load_state_dict(first.state_dict())
    for _ in range(2):
        _step(second, parts, x)
    for ours, expected in zip(parts.parameters(), whole.parameters()):
        assert torch.equal(ours, expected)
