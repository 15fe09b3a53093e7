"""Models that no machine could hold are refused before they are made."""

import pytest

from atom_pairs import ATOM_TARGETS, PAIR_TARGETS
from helpers import cartesian, dataset_info, hypers, spherical
from metatrain_scalar_tensor import ScalarTensor
from metatrain_scalar_tensor.interface.size import check_size, describe


TENSORS = spherical((0, 1), (0, -1), (1, 1), (1, -1), (2, -1), (3, 1), (3, -1))
MANY = list(range(1, 90))  # atomic types
WIDE = {"network__num_neurons_per_layer": 4096}
REDUCED = {"species__type": "tensor_reduced"}
ORTHOGONAL = {"species__type": "orthogonal"}


def check(targets, atomic_types=(1, 6, 7, 8), **changes):
    info = dataset_info(targets, list(atomic_types))
    check_size(hypers(**changes), info)


ABSURD = {
    "a power spectrum of all elements": (
        {"atomic_types": MANY, **ORTHOGONAL},
        r"weights.*network: .*'max_angular'.*many atomic types.*tensor_reduced",
    ),
    "the memory of one": (
        {
            "atomic_types": MANY,
            "expansion__basis__radial__max_radial": 20,
            **ORTHOGONAL,
        },
        r"numbers .*'max_angular'.*tensor_reduced.*types, 89",
    ),
    "channels of tensors": (
        {"tensor_basis__num_channels": 4096, "tensor_basis__gradients": 2048, **WIDE},
        r"readouts: reduce 'num_channels' or 'gradients' of 'model.tensor_basis'",
    ),
    "gradients": ({"tensor_basis__gradients": 4096}, r"'gradients' of"),
    "messages": (
        {"messages__layers": 8, "messages__channels": 4096, "messages__max_rank": 4},
        r"numbers .*reduce 'channels'",
    ),
    "neurons": (
        {**WIDE, "network__num_hidden_layers": 16},
        r"weights.*network: reduce 'num_neurons_per_layer'",
    ),
}


@pytest.mark.parametrize("changes, message", ABSURD.values(), ids=ABSURD)
def test_absurd_models_are_refused_with_their_size(changes, message):
    with pytest.raises(ValueError, match=rf"would .* \d.\de\+\d+ .*{message}"):
        check({"y": TENSORS}, **changes)


def test_absurd_matrices_are_refused():
    with pytest.raises(ValueError, match="functions: reduce 'max_angular'"):
        radial = {"type": "Bessel", "max_radial": 150}
        check(ATOM_TARGETS, expansion__basis__radial=radial)


def test_absurd_ranks_are_refused():
    with pytest.raises(ValueError, match="'y' has rank 12, .* more than 8 indices"):
        check({"y": cartesian(12)})


def test_refused_before_anything_is_made():
    info = dataset_info({"y": TENSORS})
    with pytest.raises(ValueError, match="would have"):
        ScalarTensor(hypers(species__num_channels=10**9, **REDUCED), info)


def test_models_that_are_checked_are_those_that_are_made():
    targets = {**PAIR_TARGETS, **ATOM_TARGETS, "mtt::y": cartesian(3)}
    info = dataset_info(targets)
    changes = hypers(messages__layers=2, tensor_basis__gradients=3)
    model = ScalarTensor(changes, info).model
    described = describe(changes, info)
    assert described.state_dict().keys() == model.state_dict().keys()
    assert all(weights.is_meta for weights in described.parameters())
    for ours, weights in zip(described.parameters(), model.parameters()):
        assert ours.shape == weights.shape


@pytest.mark.parametrize(
    "changes",
    [
        {"atomic_types": MANY, **REDUCED},
        {
            "atomic_types": MANY[:10],
            "expansion__basis__max_angular": 8,
            "expansion__basis__radial__max_radial": 8,
        },
        {"messages__layers": 3, "messages__channels": 128, "messages__max_rank": 4},
    ],
)
def test_large_models_are_fine(changes):
    check({"y": TENSORS, "z": cartesian(4)}, **changes)
