"""Models that no machine could hold are refused before they are made."""

import pytest
from metatrain.utils.data.atomic_basis_helpers import densify_atomic_basis_dataset_info

from atom_pairs import ATOM_TARGETS, PAIR_TARGETS
from helpers import cartesian, dataset_info, hypers, spherical, target
from metatrain_scalar_tensor import ScalarTensor
from metatrain_scalar_tensor.size import check_size, estimate_size


TENSORS = spherical((0, 1), (0, -1), (1, 1), (1, -1), (2, -1), (3, 1), (3, -1))
MANY = list(range(1, 90))  # atomic types
REDUCED = {"species__type": "tensor_reduced", "network__center_type": "embedded"}


def check(targets, atomic_types=(1, 6, 7, 8), **changes):
    info = dataset_info(targets, list(atomic_types))
    check_size(hypers(**changes), densify_atomic_basis_dataset_info(info))


MODELS = {
    "default": ({"y": TENSORS}, {}),
    "tensor-reduced": ({"y": TENSORS, "energy": target()}, REDUCED),
    "maximal pairs": ({"y": TENSORS}, {"tensor_basis__pairs": "maximal"}),
    "no pairs": ({"y": TENSORS}, {"tensor_basis__pairs": None}),
    "everything": (
        {**PAIR_TARGETS, **ATOM_TARGETS, "mtt::y": cartesian(3)},
        {
            "messages__layers": 2,
            "tensor_basis__neighbors": 4,
            "tensor_basis__gradients": 3,
            "network__num_hidden_layers": 3,
        },
    ),
}


@pytest.mark.parametrize("targets, changes", MODELS.values(), ids=MODELS)
def test_number_of_weights_is_that_of_the_model(targets, changes):
    info = dataset_info(targets)
    parts = estimate_size(hypers(**changes), densify_atomic_basis_dataset_info(info))
    model = ScalarTensor(hypers(**changes), info)
    assert sum(part.weights for part in parts) == sum(
        weights.numel() for weights in model.parameters()
    )


ABSURD = {
    "a power spectrum of all elements": (
        {"atomic_types": MANY},
        r"weights.*network.*'max_angular'.*atomic types, 89.*tensor_reduced",
    ),
    "max_angular": (
        {"atomic_types": MANY[:60], "expansion__basis__max_angular": 20},
        r"weights.*network",
    ),
    "max_radial": (
        {"expansion__basis__radial__max_radial": 1000},
        r"network.*'max_radial'",
    ),
    "grids on the sphere": (
        {"expansion__basis__max_angular": 300},
        r"constants.*tensors: reduce.*'max_angular'",
    ),
    "channels of species": (
        {**REDUCED, "species__num_channels": 10**6},
        r"network.*invariants, 15000000: 'num_channels' of 'model.species'",
    ),
    "channels of tensors": (
        {"tensor_basis__num_channels": 10**6},
        r"tensors: reduce 'num_channels' or .* of 'model.tensor_basis'",
    ),
    "neighbors": ({"tensor_basis__neighbors": 10**6}, r"reduce 'neighbors'"),
    "gradients": ({"tensor_basis__gradients": 10**5}, r"or 'gradients'"),
    "messages": (
        {"messages__layers": 1, "messages__channels": 10**6},
        r"messages: reduce 'channels'",
    ),
    "neurons": (
        {"network__num_neurons_per_layer": 10**6},
        r"weights.*reduce 'num_neurons_per_layer' \(1000000\)",
    ),
}


@pytest.mark.parametrize("changes, message", ABSURD.values(), ids=ABSURD)
def test_absurd_hypers_are_refused_with_the_estimate(changes, message):
    with pytest.raises(ValueError, match=rf"would have about \d.\de\+\d+ .*{message}"):
        check({"y": TENSORS}, **changes)


def test_absurd_ranks_are_refused():
    with pytest.raises(ValueError, match="change of basis: reduce the rank"):
        check({"y": cartesian(12)})


def test_refused_before_anything_is_made():
    info = dataset_info({"y": TENSORS})
    with pytest.raises(ValueError, match="would have about"):
        ScalarTensor(hypers(species__num_channels=10**12, **REDUCED), info)


@pytest.mark.parametrize(
    "changes",
    [
        {"atomic_types": MANY, **REDUCED},
        {"atomic_types": MANY, **REDUCED, "network__center_type": "separate"},
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
