"""Random structures, targets and models for hypothesis."""

import ase
import numpy as np
from ase.geometry import get_distances
from hypothesis import note
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from helpers import cartesian, make_model, spherical, target


TYPES = [1, 6, 8]
CUTOFF, PAIR_CUTOFF = 2.5, 2.0  # small, so that whole structures reach further
MAX_ANGULAR = 3
CLOSEST = 0.8  # distance of two atoms

seeds = st.integers(0, 2**32 - 1)


def _place(types, cell, pbc, rng):
    """Atoms at random places, as many as there is room for."""
    placed = np.empty((0, 3))
    for _ in types:
        for _ in range(30):
            new = rng.uniform(size=(1, 3)) @ cell
            distances = get_distances(placed, new, cell=cell, pbc=pbc)[1]
            if np.all(distances > CLOSEST):
                placed = np.concatenate([placed, new])
                break
    return placed


@st.composite
def structures(draw, periodic_in=(0, 2, 3), max_atoms=8):
    """Up to 8 atoms: a molecule, a slab or a crystal, also in skewed and small cells.

    The length of a lattice vector is 1.5 Å and more.
    """
    types = draw(st.lists(st.sampled_from(TYPES), min_size=1, max_size=max_atoms))
    dimensions = draw(st.sampled_from(periodic_in))
    skewness = draw(st.sampled_from([0.0, 0.3, 2.0]))
    rng = np.random.default_rng(draw(seeds))
    pbc = rng.permutation([True] * dimensions + [False] * (3 - dimensions))
    # lower triangular: no lattice vector is shorter than the shortest on the diagonal
    lengths = rng.uniform(1.5, 5.0, 3)
    lengths[~pbc] = 4.0
    shear = np.tril(rng.uniform(-skewness, skewness, (3, 3)), -1)
    cell = (np.diag(lengths) + shear * lengths) @ Rotation.random(rng=rng).as_matrix()
    positions = _place(types, cell, pbc, rng)
    cell[~pbc] = 0.0
    return ase.Atoms(types[: len(positions)], positions, cell=cell, pbc=pbc)


@st.composite
def chains(draw):
    """A long molecule, whose first atom is at one of its ends."""
    rng = np.random.default_rng(draw(seeds))
    steps = rng.uniform([-0.5, -0.5, 0.9], [0.5, 0.5, 1.5], (14, 3))
    return ase.Atoms(rng.choice(TYPES, 14), np.cumsum(steps, axis=0))


@st.composite
def orthogonal_matrices(draw):
    """Rotations, and rotations with an inversion."""
    rotation = Rotation.random(rng=np.random.default_rng(draw(seeds)))
    return rotation.as_matrix() * draw(st.sampled_from([1.0, -1.0]))


def irreps(max_lambda):
    return st.tuples(st.integers(0, max_lambda), st.sampled_from([1, -1]))


def lists_of_irreps(max_lambda):
    return st.lists(irreps(max_lambda), min_size=1, max_size=3, unique=True)


@st.composite
def matrix_targets(draw, sample_kinds):
    """Products of irreps, the same for all atoms or different ones for every type."""
    sample_kind = draw(st.sampled_from(sample_kinds))
    product = draw(st.sampled_from(["coupled", "cartesian"]))
    # coupled to λ = 2 at most, which the density must have
    basis = [
        {"o3_lambda": o3_lambda, "o3_sigma": 1, "num": draw(st.integers(1, 2))}
        for o3_lambda in draw(st.sampled_from([[0], [1], [0, 1]]))
    ]
    if sample_kind != "system" and draw(st.booleans()):
        basis = {1: basis[:1], 6: basis, 8: basis}
    return target(
        type={"spherical": {"irreps": basis, "product": product}},
        sample_kind=sample_kind,
    )


@st.composite
def atomic_basis_targets(draw):
    """Irreps that depend on the type of the atom."""
    by_type = {
        atomic_type: [
            {"o3_lambda": o3_lambda, "o3_sigma": 1}
            for o3_lambda in range(draw(st.integers(1, MAX_ANGULAR)))
        ]
        for atomic_type in TYPES
    }
    return target(type={"spherical": {"irreps": by_type}})


def targets(sample_kinds=("system", "atom", "atom_pair")):
    """Any target that the model can have."""
    kind = st.sampled_from(sample_kinds)
    num_subtargets = st.integers(1, 2)
    choices = [
        st.builds(target, sample_kind=kind, num_subtargets=num_subtargets),
        st.builds(cartesian, st.integers(0, 3), sample_kind=kind),
        st.builds(
            lambda irreps, **kwargs: spherical(*irreps, **kwargs),
            lists_of_irreps(MAX_ANGULAR),
            sample_kind=kind,
            num_subtargets=num_subtargets,
        ),
        matrix_targets(sample_kinds),
    ]
    if "atom" in sample_kinds:
        choices.append(atomic_basis_targets())
    return st.one_of(choices)


model_hypers = st.fixed_dictionaries(
    {
        "species__type": st.sampled_from(["orthogonal", "tensor_reduced"]),
        "species__correlation_order": st.sampled_from([2, 3, 4]),
        "expansion__basis__radial__type": st.sampled_from(["Gto", "Bessel"]),
        "messages__layers": st.integers(0, 1),
        "messages__representation": st.sampled_from(["spherical", "cartesian"]),
        "tensor_basis__neighbors": st.sampled_from([None, 2]),
        "tensor_basis__gradients": st.sampled_from([None, 2]),
    }
)


@st.composite
def models(draw, sample_kinds=("system", "atom", "atom_pair")):
    """An untrained float64 model of one or two targets, with small hypers."""
    some_targets = draw(st.lists(targets(sample_kinds), min_size=1, max_size=2))
    some_targets = {f"mtt::y{i}": t for i, t in enumerate(some_targets)}
    changes = draw(model_hypers)
    note(f"targets {some_targets}\nhypers {changes}")
    return make_model(
        some_targets,
        atomic_types=TYPES,
        seed=draw(st.integers(0, 3)),
        expansion__cutoff__radius=CUTOFF,
        expansion__basis__max_angular=MAX_ANGULAR,
        expansion__basis__radial__max_radial=1,
        species__num_channels=4,
        network__num_neurons_per_layer=8,
        tensor_basis__num_channels=2,
        messages__channels=2,
        atom_pairs__cutoff=PAIR_CUTOFF,
        atom_pairs__num_channels=2,
        **changes,
    )
