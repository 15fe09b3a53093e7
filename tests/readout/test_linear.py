"""The linear term of scalars."""

import torch

from metatrain_scalar_tensor.readout.linear import LinearTerm


def random_term(num_types=3, num_inputs=7, num_outputs=2):
    torch.manual_seed(0)
    term = LinearTerm(num_types, num_inputs, num_outputs).double()
    torch.nn.init.normal_(term.weight)
    return term


def test_zero_before_the_training():
    term = LinearTerm(2, 5, 1)
    assert (term(torch.randn(4, 5), torch.tensor([0, 1, 1, 0])) == 0).all()


def test_columns_times_weights():
    term = random_term()
    invariants, types = torch.randn(4, 7).double(), torch.tensor([2, 0, 1, 2])
    columns = term.columns(invariants, types)
    weights = term.weight.transpose(1, 2).flatten(0, 1)  # (types · inputs, outputs)
    torch.testing.assert_close(columns @ weights, term(invariants, types))


def test_every_type_has_its_own_weights():
    term = random_term()
    invariants = torch.randn(1, 7).double().expand(3, 7)
    values = term(invariants, torch.arange(3))
    expected = torch.einsum("qon,n->qo", term.weight, invariants[0]) / 7**0.5
    torch.testing.assert_close(values, expected)


def test_further_types_change_nothing_and_start_at_zero():
    term = random_term()
    invariants, types = torch.randn(4, 7).double(), torch.tensor([2, 0, 1, 2])
    before = term(invariants, types)
    known = torch.tensor([0, 2, 4])
    term.add_types(5, known)
    assert torch.equal(term(invariants, known[types]), before)
    assert (term(invariants, torch.tensor([1, 3, 1, 3])) == 0).all()
