"""Targets of pairs of atoms, and models of them."""

from metatensor.torch import TensorMap

from helpers import cartesian, make_model, prepare, spherical, target
from metatrain_scalar_tensor.o3 import clebsch_gordan


S, P = {"o3_lambda": 0, "o3_sigma": 1, "num": 2}, {"o3_lambda": 1, "o3_sigma": 1}
BASIS = {1: [S], 6: [S, P], 7: [S, P], 8: [S, P]}
CUTOFF = 4.0


def product(irreps, kind, sample_kind="atom_pair"):
    irreps = {"irreps": irreps, "product": kind}
    return target(type={"spherical": irreps}, sample_kind=sample_kind)


PAIR_TARGETS = {
    "mtt::scalar": target(sample_kind="atom_pair", num_subtargets=2),
    "mtt::vector": cartesian(1, sample_kind="atom_pair"),
    "mtt::tensor": cartesian(2, sample_kind="atom_pair"),
    "mtt::spherical": spherical((1, 1), (2, -1), (0, -1), sample_kind="atom_pair"),
    "mtt::coupled": product([S, P], "coupled"),
    "mtt::cartesian": product([S, P], "cartesian"),
    "mtt::basis_coupled": product(BASIS, "coupled"),
    "mtt::basis_cartesian": product(BASIS, "cartesian"),
}
ATOM_TARGETS = {
    "mtt::onsite_coupled": product(BASIS, "coupled", "atom"),
    "mtt::onsite_cartesian": product(BASIS, "cartesian", "atom"),
    "mtt::matrix": product([S, P], "cartesian", "system"),
}


def model_of_pairs(targets, **changes):
    return make_model(targets, atom_pairs__cutoff=CUTOFF, **changes)


def outputs(model, frames, names, selected_atoms=None):
    systems = prepare(model, frames)
    return model(systems, {name: model.outputs[name] for name in names}, selected_atoms)


def matrices(tensor: TensorMap):
    """The blocks of a target with a product: (i, j, shift, l1, l2, n1, n2) -> matrix.

    Coupled ones are taken apart by Clebsch-Gordan coefficients, one by one.
    """
    found = {}
    for key, block in tensor.items():
        for sample, values in zip(block.samples.values.tolist(), block.values):
            for labels, column in zip(block.properties, values.unbind(-1)):
                if "l_1" in labels.names:
                    l1, l2, l3 = labels["l_1"], labels["l_2"], key["o3_lambda"]
                    column = clebsch_gordan(l1, l2, l3) @ column
                else:
                    l1, l2 = key["o3_lambda_1"], key["o3_lambda_2"]
                name = (*sample, l1, l2, labels["n_1"], labels["n_2"])
                found[name] = found.get(name, 0) + column
    return found
