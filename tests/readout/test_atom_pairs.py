"""Targets of pairs of atoms, and matrices between sets of irreps."""

import itertools

import ase
import numpy as np
import pytest
import torch
from metatensor.torch import Labels, TensorMap
from metatomic.torch import (
    ModelEvaluationOptions,
    ModelOutput,
    NeighborListOptions,
    load_atomistic_model,
)
from metatomic.torch.o3 import O3Transformations
from metatrain.utils.data import TargetInfo
from metatrain.utils.data.atom_pair_helpers import get_pair_sample_labels
from metatrain.utils.data.atomic_basis_helpers import get_per_atom_sample_labels

from atom_pairs import (
    ATOM_TARGETS,
    CUTOFF,
    PAIR_TARGETS,
    matrices,
    model_of_pairs,
    outputs,
    product,
)
from equivariance import operations, transformed
from helpers import (
    crystal,
    dataset_info,
    hypers,
    molecules,
    predict,
    prepare,
    target,
)
from metatrain_scalar_tensor.readout import exchange_symmetry


FRAMES = [crystal(), *molecules(1)]


@pytest.fixture(scope="module")
def model():
    return model_of_pairs({**PAIR_TARGETS, **ATOM_TARGETS})


def neighbors(frames):
    """The samples of a target of all pairs."""
    options = NeighborListOptions(cutoff=CUTOFF, full_list=True, strict=True)
    model = model_of_pairs({"y": target(sample_kind="atom_pair")})
    systems = prepare(model, frames)
    atoms = get_per_atom_sample_labels(systems, torch.arange(len(systems)))
    return get_pair_sample_labels(atoms, systems=systems, nl_options=options)


def test_samples_are_the_pairs_of_the_neighbor_list_in_both_orders(model):
    samples = outputs(model, FRAMES, ["mtt::scalar"])["mtt::scalar"].block().samples
    assert samples == neighbors(FRAMES)
    pairs = {tuple(sample) for sample in samples.values.tolist()}
    assert {(s, j, i, -a, -b, -c) for s, i, j, a, b, c in pairs} == pairs
    assert any(i == j for _, i, j, *_ in pairs)  # an atom and its own image


@pytest.mark.parametrize("matrix", operations().values(), ids=operations())
def test_equivariance(model, matrix):
    names = [*PAIR_TARGETS, *ATOM_TARGETS]
    operation = O3Transformations(torch.tensor(matrix).unsqueeze(0), 6)
    for frame in FRAMES:
        before = outputs(model, [frame], names)
        after = outputs(model, [transformed(frame, matrix)], names)
        for name in names:
            expected = operation.transform_tensormap(before[name])
            for key, block in after[name].items():
                if len(block.values) == 0:  # types that are not there
                    continue
                scale = block.values.abs().max()
                error = (block.values - expected.block(key).values).abs().max()
                assert error <= 1e-10 * scale, (name, key)


@pytest.mark.parametrize(
    "name", [n for n in PAIR_TARGETS if "c" == n[5] or "basis" in n]
)
def test_matrices_of_pairs_are_hermitian(model, name):
    """H_ij(T) is the transposed H_ji(-T): built in, whatever the weights are."""
    found = matrices(outputs(model, FRAMES, [name])[name])
    assert len(found) > 100
    for (s, i, j, a, b, c, l1, l2, n1, n2), matrix in found.items():
        opposite = found[s, j, i, -a, -b, -c, l2, l1, n2, n1].T
        torch.testing.assert_close(matrix, opposite, rtol=0, atol=1e-14)
    assert max(matrix.abs().max() for matrix in found.values()) > 1e-4


@pytest.mark.parametrize("name", ATOM_TARGETS)
def test_matrices_of_atoms_are_symmetric(model, name):
    found = matrices(outputs(model, FRAMES, [name])[name])
    for (*sample, l1, l2, n1, n2), matrix in found.items():
        opposite = found[(*sample, l2, l1, n2, n1)].T
        torch.testing.assert_close(matrix, opposite, rtol=0, atol=1e-14)


@pytest.mark.parametrize("sign, exchange", [(1, "symmetric"), (-1, "antisymmetric")])
def test_exchange_symmetry_of_the_options(sign, exchange):
    targets = {name: PAIR_TARGETS[name] for name in ("mtt::vector", "mtt::tensor")}
    choices = dict.fromkeys(targets, exchange)
    model = model_of_pairs(targets, exchange_symmetry=choices)
    for tensor in outputs(model, FRAMES, targets).values():
        samples = [tuple(s) for s in tensor.block().samples.values.tolist()]
        values = dict(zip(samples, tensor.block().values[..., 0]))
        for (s, i, j, a, b, c), value in values.items():
            opposite = sign * values[s, j, i, -a, -b, -c]
            axes = tuple(reversed(range(opposite.dim())))
            assert torch.equal(value, opposite.permute(axes))


def test_without_exchange_symmetry_a_pair_has_a_direction(model):
    scalars = outputs(model, FRAMES, ["mtt::scalar"])["mtt::scalar"].block()
    values = dict(zip(map(tuple, scalars.samples.values.tolist()), scalars.values))
    assert any(
        (value - values[s, j, i, -a, -b, -c]).abs().max() > 1e-6
        for (s, i, j, a, b, c), value in values.items()
    )


def test_matrix_without_its_transposed_one():
    """As of a target with the block (s, p), but not (p, s)."""
    model = model_of_pairs({"y": PAIR_TARGETS["mtt::cartesian"]})
    layout = model.dataset_info.targets["y"].layout
    [row] = layout.keys.select(
        Labels(["o3_lambda_1", "o3_lambda_2"], torch.tensor([[0, 1]]))
    )
    keys = Labels(layout.keys.names, layout.keys.values[[int(row)]])
    lacking = TensorMap(keys, [layout.block(int(row)).copy()])
    with pytest.raises(ValueError, match="exchange_symmetry' of it to 'none'"):
        exchange_symmetry("y", TargetInfo(lacking), {})
    assert exchange_symmetry("y", TargetInfo(lacking), {"y": "none"}) is None


def test_selected_atoms_are_the_first_ones(model):
    """Also of targets of atoms, of which the blocks of some types are then empty."""
    selected = Labels(["system", "atom"], torch.tensor([[1, 2], [0, 1]]))
    names = ["mtt::scalar", "mtt::basis_coupled", "mtt::onsite_coupled"]
    composition = model.baseline.composition_models()[0].model.weights
    for block in composition["mtt::onsite_coupled"].blocks():
        block.values[:] = torch.randn(block.values.shape, dtype=torch.float64)
    everything = outputs(model, FRAMES, names)
    # only atoms of the second structure, too
    for wanted in (selected, Labels(selected.names, selected.values[:1])):
        atoms = [tuple(atom) for atom in wanted.values.tolist()]
        some = outputs(model, FRAMES, names, wanted)
        for name in names:
            found = 0
            for key, block in some[name].items():
                reference = everything[name].block(key)
                values = {
                    tuple(sample): value
                    for sample, value in zip(
                        reference.samples.values.tolist(), reference.values
                    )
                    if tuple(sample[:2]) in atoms
                }
                assert len(block.samples) == len(values)
                for sample, value in zip(block.samples.values.tolist(), block.values):
                    torch.testing.assert_close(value, values[tuple(sample)])
                found += len(values)
            assert found > 0


def test_structures_without_pairs_in_a_batch(model):
    """The types of the atoms of others are those that they have alone."""
    lone = ase.Atoms("O", [[0.0, 0.0, 0.0]])
    name = "mtt::basis_cartesian"
    alone = outputs(model, FRAMES, [name])[name]
    found = outputs(model, [lone, *FRAMES], [name])[name]
    for key, block in alone.items():
        ours = found.block(key)
        assert torch.equal(ours.samples.values[:, 1:], block.samples.values[:, 1:])
        torch.testing.assert_close(ours.values, block.values)


def test_supercell_has_the_same_pairs(model):
    """Cell shifts are those of the neighbor list: images are as good as atoms."""
    name = "mtt::tensor"
    cell = crystal()
    small = outputs(model, [cell], [name])[name].block()
    large = outputs(model, [cell.repeat((2, 1, 1))], [name])[name].block()
    values = dict(zip(map(tuple, large.samples.values.tolist()), large.values))
    for (s, i, j, a, b, c), value in zip(small.samples.values.tolist(), small.values):
        image, shift = a % 2, a // 2
        other = values[s, i, j + image * len(cell), shift, b, c]
        torch.testing.assert_close(value, other, rtol=1e-9, atol=1e-12)


def test_reach_is_that_of_both_atoms():
    """A pair knows the surroundings of its second atom too, and the model says so."""
    targets = {"mtt::y": target(sample_kind="atom_pair")}
    cutoff = hypers()["expansion"]["cutoff"]["radius"]
    for neighbors, steps in ((4, 2), (None, 1)):
        model = model_of_pairs(targets, tensor_basis__neighbors=neighbors)
        reach = model.export().capabilities().interaction_range
        assert reach == CUTOFF + steps * cutoff

    def of_first_pair(distance):
        last = [0.4, 0.0, 0.8 * CUTOFF + distance]
        positions = [[0.0, 0.0, 0.0], [0.0, 0.3, 0.8 * CUTOFF], last]
        frame = ase.Atoms("CNO", positions)
        block = outputs(model, [frame], ["mtt::y"])["mtt::y"].block()
        row = [s[1:3] for s in block.samples.values.tolist()].index([0, 1])
        return block.values[row]

    alone = of_first_pair(20.0)
    assert (of_first_pair(0.6 * cutoff) - alone).abs().max() > 1e-9
    assert (of_first_pair(1.1 * cutoff) - alone).abs().max() < 1e-12


def test_lone_atoms_have_no_pairs(model):
    lone = ase.Atoms("O", [[0.0, 0.0, 0.0]])
    names = ["mtt::scalar", "mtt::onsite_coupled"]
    values = outputs(model, [lone], names)
    assert len(values["mtt::scalar"].block().values) == 0
    assert all(
        b.values.isfinite().all() for b in values["mtt::onsite_coupled"].blocks()
    )


def test_exported_model_has_the_same_predictions(model, tmp_path):
    # metatomic 0.1.19 refuses to check the consistency of outputs of pairs
    path = str(tmp_path / "model.pt")
    names = [*PAIR_TARGETS, *ATOM_TARGETS]
    expected = outputs(model, FRAMES, names)
    model.export().save(path)
    wanted = {name: model.outputs[name] for name in names}
    options = ModelEvaluationOptions(length_unit="angstrom", outputs=wanted)
    exported = load_atomistic_model(path)
    values = exported(prepare(model, FRAMES), options, check_consistency=False)
    for name in names:
        for key, block in expected[name].items():
            torch.testing.assert_close(values[name].block(key).values, block.values)


def test_pairs_at_the_cutoff_have_a_direction():
    """Also where the density of both atoms does not know of the other."""
    model = model_of_pairs(
        {"y": PAIR_TARGETS["mtt::vector"]}, expansion__cutoff__radius=3.0
    )
    sizes = []
    for distance in (0.7 * CUTOFF, 0.9 * CUTOFF, 0.999 * CUTOFF):
        frame = ase.Atoms("CO", [[0.0, 0.0, 0.0], [0.0, 0.0, distance]])
        values = outputs(model, [frame], ["y"])["y"].block().values
        sizes.append(values.abs().max().item())
    assert min(sizes) > 0.01 * max(sizes)


@pytest.mark.parametrize("l1, l2", list(itertools.product(range(3), repeat=2)))
def test_products_of_all_ranks(l1, l2):
    """Every block of a matrix can be reached: as many independent tensors as it has."""
    # repeated, so that there are as many blocks as a block has numbers
    irreps = [{"o3_lambda": l, "o3_sigma": 1, "num": 2 * l + 1} for l in {l1, l2}]
    model = model_of_pairs({"y": product(irreps, "cartesian")})
    key = {
        f"o3_{n}_{i}": v
        for i, l in ((1, l1), (2, l2))
        for n, v in (("lambda", l), ("sigma", 1))
    }
    block = predict(model, molecules(1), ["y"], "atom_pair")["y"].block(key)
    values = block.values[0].detach().flatten(0, 1)  # (numbers of a block, blocks)
    assert values.shape[0] == values.shape[1] == (2 * l1 + 1) * (2 * l2 + 1)
    assert np.linalg.matrix_rank(values, tol=1e-8) == len(values)


def test_target_of_pairs_is_added_on_restart():
    """To a model that had none; what it said before, it says again."""
    first, second = "mtt::matrix", "mtt::cartesian"
    model = model_of_pairs({first: ATOM_TARGETS[first]}, dtype=torch.float32)
    systems = prepare(model, FRAMES, torch.float32)
    wanted = {first: ModelOutput(sample_kind="system")}
    before = model(systems, wanted)[first]
    model.restart(dataset_info({second: PAIR_TARGETS[second]}))
    assert [(n.full_list, n.cutoff) for n in model.requested_neighbor_lists()] == [
        (False, hypers()["expansion"]["cutoff"]["radius"]),
        (True, CUTOFF),
    ]
    systems = prepare(model, FRAMES, torch.float32)
    after = model(systems, {**wanted, second: ModelOutput(sample_kind="atom_pair")})
    for key, block in before.items():
        assert torch.equal(after[first].block(key).values, block.values)
    for block in after[second].blocks():
        assert block.values.dtype == torch.float32
        assert len(block.values) == len(neighbors(FRAMES))
