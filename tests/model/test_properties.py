"""Laws of physics and of the interface, for random models, targets and structures.

hypothesis draws them from ``strategies.py``, the same ones in every run, and reports
the simplest that breaks a law.
"""

import copy

import numpy as np
import torch
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import ModelOutput, System
from metatomic.torch.o3 import O3Transformations

from equivariance import transformed
from helpers import prepare
from strategies import chains, models, orthogonal_matrices, seeds, structures


TOLERANCE = 1e-9  # relative to the largest value of the target
SMALL = 1e-3  # values of a target that vanishes by symmetry but for rounding


def law(max_examples):
    return settings(
        max_examples=max_examples,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def evaluate(model, systems):
    """All targets, those of structures atom by atom."""
    names = model.dataset_info.targets
    return model(systems, {name: model.outputs[name] for name in names})


def predict(model, frames):
    dtype = next(model.parameters()).dtype
    return evaluate(model, prepare(model, frames, dtype))


def assert_same(found, expected, relabel=None, tolerance=TOLERANCE):
    """The same values, whatever the order of the samples.

    :param relabel: from the samples of ``expected`` to those of ``found``.
    """
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        blocks = {tuple(key.values.tolist()): block for key, block in tensor.items()}
        sizes = [b.values.abs().max().item() for b in tensor.blocks() if len(b.values)]
        scale = max([SMALL, *sizes])
        for key, block in found[name].items():
            # blocks of types of atoms that are not there may be left out
            reference = blocks.get(tuple(key.values.tolist()))
            if reference is None:
                assert len(block.values) == 0
                continue
            samples = reference.samples.values.numpy()
            if relabel is not None:
                samples = relabel(samples)
            ours = block.samples.values.numpy()
            order, our_order = (np.lexsort(s.T[::-1]) for s in (samples, ours))
            assert np.array_equal(ours[our_order], samples[order]), (name, key)
            # a structure that is repeated has the same values again and again
            values = reference.values[order % len(reference.values)]
            difference = block.values[our_order] - values
            if len(difference) > 0:
                error = difference.abs().max().item()
                assert error <= tolerance * scale, (name, key, error, scale)


def is_of_pairs(samples):
    return samples.shape[1] == 6


def sums(model, frames):
    """Targets of structures: one vector of all components for each of the frames."""
    names = [
        name
        for name, info in model.dataset_info.targets.items()
        if info.sample_kind == "system"
    ]
    request = {name: ModelOutput(sample_kind="system") for name in names}
    return {
        name: torch.cat([block.values.flatten(1) for block in tensor.blocks()], dim=1)
        for name, tensor in model(prepare(model, frames), request).items()
    }


def first_atom(model, frame):
    """What is predicted for the first atom, and the pairs in which it is the first."""
    selected = Labels(["system", "atom"], torch.tensor([[0, 0]]))
    names = model.dataset_info.targets
    request = {name: model.outputs[name] for name in names}
    predictions = model(prepare(model, [frame]), request, selected)
    values = {}
    for name, tensor in predictions.items():
        parts = []
        for block in tensor.blocks():
            order = np.lexsort(block.samples.values.numpy().T[::-1])
            parts.append(block.values[order].flatten())
        values[name] = torch.cat(parts)
    return values


def assert_close(found, expected, num_atoms):
    scale = num_atoms * max(SMALL, expected.abs().max().item())
    assert (found - expected).abs().max().item() <= TOLERANCE * scale


def of_system(tensor, i):
    """The samples of one structure of a batch, as if it were the only one."""
    blocks = []
    for block in tensor.blocks():
        samples = block.samples.values
        rows = torch.where(samples[:, 0] == i)[0]
        samples = samples[rows].clone()
        samples[:, 0] = 0
        labels = Labels(block.samples.names, samples)
        blocks.append(
            TensorBlock(block.values[rows], labels, block.components, block.properties)
        )
    return TensorMap(tensor.keys, blocks)


@law(25)
@given(models(), structures(), orthogonal_matrices())
def test_rotations_and_reflections(model, frame, matrix):
    operation = O3Transformations(torch.tensor(matrix).unsqueeze(0), 6)
    expected = {
        name: operation.transform_tensormap(tensor)
        for name, tensor in predict(model, [frame]).items()
    }
    assert_same(predict(model, [transformed(frame, matrix)]), expected)


@law(25)
@given(models(), structures(), seeds)
def test_permutations_and_translations(model, frame, seed):
    """Also of single atoms, by lattice vectors."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(frame))
    shifts = rng.integers(-2, 3, (len(frame), 3)) * frame.pbc
    other = frame.copy()
    other.positions += shifts @ frame.cell.array + rng.uniform(-9, 9, 3)
    other = other[order]
    place = np.argsort(order)  # of the atoms of ``frame`` in ``other``

    def relabel(samples):
        samples = samples.copy()
        if is_of_pairs(samples):
            samples[:, 3:] += shifts[samples[:, 1]] - shifts[samples[:, 2]]
            samples[:, 2] = place[samples[:, 2]]
        samples[:, 1] = place[samples[:, 1]]
        return samples

    assert_same(predict(model, [other]), predict(model, [frame]), relabel)


@law(12)
@given(models(), structures(periodic_in=(3,)), seeds)
def test_choice_of_lattice_vectors(model, frame, seed):
    """A lattice has many cells, and they are all the same."""
    rng = np.random.default_rng(seed)
    change = np.tril(rng.integers(-2, 3, (3, 3)), -1) + np.eye(3, dtype=int)
    change = change[rng.permutation(3)]  # of determinant ±1
    inverse = np.rint(np.linalg.inv(change)).astype(int)
    other = frame.copy()
    other.set_cell(change @ frame.cell.array)

    def relabel(samples):
        samples = samples.copy()
        samples[:, 3:] = samples[:, 3:] @ inverse if is_of_pairs(samples) else 0
        return samples

    assert_same(predict(model, [other]), predict(model, [frame]), relabel)


@law(12)
@given(
    models(sample_kinds=["system", "atom"]),
    structures(periodic_in=(2, 3), max_atoms=4),
    st.sampled_from([(2, 1, 1), (1, 3, 1), (1, 2, 2)]),
)
def test_supercells(model, frame, times):
    """Their atoms are copies of those of the cell, and targets add up."""
    times = [n if periodic else 1 for n, periodic in zip(times, frame.pbc)]
    large = frame.repeat(times)
    copies = len(large) // len(frame)

    def relabel(samples):
        shifts = len(frame) * np.arange(copies)
        return np.concatenate([samples + [0, shift] for shift in shifts])

    assert_same(predict(model, [large]), predict(model, [frame]), relabel)
    for name, total in sums(model, [large]).items():
        [of_cell] = sums(model, [frame])[name]
        assert_close(total[0], copies * of_cell, copies * len(frame))


@law(12)
@given(models(), structures(periodic_in=(0,)), structures(periodic_in=(0,)))
def test_molecules_far_from_each_other(model, first, second):
    """They do not know of each other, and targets add up."""
    both = first.copy()
    moved = second.copy()
    moved.positions += 100.0
    both.extend(moved)

    def relabel(samples):
        samples = samples.copy()
        is_second = samples[:, 0] == 1
        samples[:, 0] = 0
        for column in (1, 2)[: 2 if is_of_pairs(samples) else 1]:
            samples[is_second, column] += len(first)
        return samples

    assert_same(predict(model, [both]), predict(model, [first, second]), relabel)
    parts = sums(model, [first, second])
    for name, total in sums(model, [both]).items():
        assert_close(total[0], parts[name].sum(0), len(both))


@law(12)
@given(models(), chains())
def test_locality(model, chain):
    """Atoms further away than the model says do not matter."""
    reach = model.export().capabilities().interaction_range
    distances = np.linalg.norm(chain.positions - chain.positions[0], axis=1)
    is_far = distances > reach
    assume(is_far.any())
    other = chain.copy()
    other.positions[is_far] *= 1.1
    other.numbers[is_far] = 8
    expected, found = [first_atom(model, frame) for frame in (chain, other)]
    without = first_atom(model, chain[~is_far])
    for name, values in expected.items():
        for ours in (found[name], without[name]):
            assert_close(ours, values, len(chain))


@law(12)
@given(models(), structures())
def test_single_and_double_precision(model, frame):
    single = copy.deepcopy(model).to(torch.float32)
    found = {name: t.to(torch.float64) for name, t in predict(single, [frame]).items()}
    assert_same(found, predict(model, [frame]), tolerance=1e-3)


@law(12)
@given(models(), st.lists(structures(max_atoms=4), min_size=2, max_size=4))
def test_batches(model, frames):
    """Structures do not know of others in their batch, with a cell or without."""
    together = predict(model, frames)
    for i, frame in enumerate(frames):
        alone = predict(model, [frame])
        ours = {name: of_system(tensor, i) for name, tensor in together.items()}
        assert_same(ours, alone, tolerance=1e-12)


@law(12)
@given(models(), structures(), seeds)
def test_order_of_neighbors(model, frame, seed):
    """Neither the order of pairs matters nor, where they count once, their direction.

    Pairs that are samples of a target keep their labels.
    """
    rng = np.random.default_rng(seed)
    [system] = prepare(model, [frame])
    assert_same(
        evaluate(model, [with_shuffled_neighbors(system, rng)]),
        evaluate(model, [system]),
    )


def with_shuffled_neighbors(system, rng):
    shuffled = System(system.types, system.positions, system.cell, system.pbc)
    for options in system.known_neighbor_lists():
        block = system.get_neighbor_list(options)
        order = torch.as_tensor(rng.permutation(len(block.values)))
        samples, vectors = block.samples.values[order], block.values[order]
        if not options.full_list:
            is_turned = torch.as_tensor(rng.random(len(order)) < 0.5)
            turned = torch.cat([samples[:, [1, 0]], -samples[:, 2:]], dim=1)
            samples = torch.where(is_turned.unsqueeze(1), turned, samples)
            vectors = torch.where(is_turned.reshape(-1, 1, 1), -vectors, vectors)
        shuffled.add_neighbor_list(
            options,
            TensorBlock(
                vectors,
                Labels(block.samples.names, samples),
                block.components,
                block.properties,
            ),
        )
    return shuffled
