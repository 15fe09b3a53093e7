"""Perfect crystals: what symmetry makes zero stays zero."""

import ase.build
import ase.io
import numpy as np
import pytest
from ase.calculators.lj import LennardJones
from ase.neighborlist import neighbor_list
from ase.spacegroup import crystal
from metatomic.torch import ModelOutput
from metatomic_ase import MetatomicCalculator
from metatrain.utils.io import load_model
from scipy.spatial.transform import Rotation

from equivariance import transformed
from options import train_in, write_options


CRYSTALS = {
    "fcc": ase.build.bulk("Cu"),
    "bcc": ase.build.bulk("Fe"),
    "diamond": ase.build.bulk("Si"),
    "rock salt": ase.build.bulk("NaCl", "rocksalt", a=5.64),
    "perovskite": crystal(
        ["Sr", "Ti", "O"],
        [(0, 0, 0), (0.5, 0.5, 0.5), (0.5, 0.5, 0)],
        spacegroup=221,
        cellpar=3 * [3.9] + 3 * [90],
    ),
}
ROTATION = Rotation.random(random_state=5).as_matrix()


def rotated(frame):
    return transformed(frame, ROTATION)


def shifted(frame):
    frame = frame.copy()
    frame.positions += [0.31, -0.17, 0.72]
    frame.wrap()
    return frame


def scaled(frame, factor):
    frame = frame.copy()
    frame.set_cell(factor * frame.cell.array, scale_atoms=True)
    return frame


def reference(frame):
    """A pair potential for these distances."""
    nearest = neighbor_list("d", frame, 4.0).min()
    return LennardJones(
        sigma=nearest / 2 ** (1 / 6), epsilon=0.2, rc=2 * nearest, smooth=True
    )


def tensors(frame):
    """Vectors and matrices of the atoms: sums over neighbors, as dipoles would be."""
    i, j, d, v = neighbor_list("ijdD", frame, 4.0)
    weight = (frame.numbers[j] ** 0.5 * np.exp(-d) * (1 - d / 4.0) ** 2)[:, None]
    vectors, matrices = np.zeros((len(frame), 3)), np.zeros((len(frame), 9))
    np.add.at(vectors, i, weight * v)
    np.add.at(matrices, i, weight * np.einsum("ka,kb->kab", v, v).reshape(-1, 9))
    return vectors, matrices


@pytest.fixture(scope="module", params=CRYSTALS)
def perfect(request):
    return CRYSTALS[request.param]


@pytest.fixture(
    scope="module",
    params=[(64, False), (32, False), (64, True)],
    ids=["64", "32", "64, solved"],
)
def trained(request, perfect, tmp_path_factory):
    """A model of energies and tensors, trained on a crystal without rattling.

    With its precision, and whether its heads are solved.

    The cells have other sizes and orientations, and are repeated.
    """
    precision, is_solved = request.param
    folder = tmp_path_factory.mktemp("crystal")
    calculator = reference(perfect)
    frames = []
    for k, factor in enumerate(np.linspace(0.94, 1.06, 20)):
        frame = scaled(perfect, factor)
        frame = [frame, rotated(frame), frame.repeat((2, 1, 1)), shifted(frame)][k % 4]
        frame.calc = calculator
        energy = frame.get_potential_energy()
        frame.calc = None
        frame.info["E"] = energy
        frame.arrays["v"], frame.arrays["a"] = tensors(frame)
        frames.append(frame)
    ase.io.write(folder / "data.xyz", frames)
    options = write_options(
        systems=folder / "data.xyz",
        base_precision=precision,
        test_set=0.0,
        architecture__model={
            "expansion": {"basis": {"max_angular": 6, "radial": {"max_radial": 4}}},
            "network": {"num_neurons_per_layer": 32},
            "messages": {"layers": 1},
        },
        architecture__training={
            "num_epochs": 10,
            "learning_rate": 3e-3,
            "solve_heads": is_solved,
        },
    )
    atoms = {"sample_kind": "atom"}
    options.training_set.targets = {
        "energy": {"key": "E", "unit": "eV"},
        "mtt::v": {"key": "v", "type": {"cartesian": {"rank": 1}}, **atoms},
        "mtt::a": {"key": "a", "type": {"cartesian": {"rank": 2}}, **atoms},
    }
    train_in(folder, options)
    exported = load_model(folder / "model.ckpt").export()  # not compiled: faster here
    model = MetatomicCalculator(exported, check_consistency=False)
    return model, precision, is_solved


def energy_per_atom(model, frame):
    frame = frame.copy()
    frame.calc = model
    return frame.get_potential_energy() / len(frame)


def largest_force(model, frame):
    frame = frame.copy()
    frame.calc = model
    return np.abs(frame.get_forces()).max()


def test_energies_of_the_same_crystal(perfect, trained):
    model, precision, _ = trained
    tolerance = {64: 1e-8, 32: 1e-4}[precision]
    expected = energy_per_atom(model, perfect)
    for same in (
        rotated(perfect),
        shifted(perfect),
        perfect.repeat(3),
        rotated(perfect.repeat((1, 2, 3))),
    ):
        assert energy_per_atom(model, same) == pytest.approx(expected, rel=tolerance)


def test_tensors_of_the_same_crystal(perfect, trained):
    model, precision, _ = trained
    tolerance = {64: 1e-8, 32: 1e-4}[precision]
    request = {name: ModelOutput(sample_kind="atom") for name in ("mtt::v", "mtt::a")}

    def predict(frame):
        outputs = model.run_model(frame, request)
        return [
            outputs[name].block().values[..., 0].detach().numpy() for name in request
        ]

    vectors, matrices = predict(perfect)
    size = np.abs(matrices).max()
    assert np.abs(vectors).max() < tolerance * size
    rotated_vectors, rotated_matrices = predict(rotated(perfect))
    assert np.abs(rotated_vectors).max() < tolerance * size
    expected = np.einsum("ac,bd,icd->iab", ROTATION, ROTATION, matrices)
    assert np.abs(rotated_matrices - expected).max() < tolerance * size
    _, repeated = predict(perfect.repeat((1, 1, 2)))
    assert np.abs(repeated - np.tile(matrices, (2, 1, 1))).max() < tolerance * size


def test_forces_grow_as_those_of_the_reference(perfect, trained):
    model, precision, is_solved = trained
    frame = rotated(perfect.repeat(3))
    calculator = reference(perfect)
    stiff = largest_force(calculator, displaced(frame, 0.01)) / 0.01
    assert largest_force(model, frame) < {64: 1e-8, 32: 1e-4}[precision] * stiff
    for amplitude in (1e-6, 1e-4, 1e-2, 3e-2, 1e-1):
        rattled = displaced(frame, amplitude)
        # an exact fit of the perfect crystals says even less about others: random
        # features, which are exported where they are the best for perfect ones, have up
        # to 53 times the force of the reference
        limit = (60 if is_solved else 5) * largest_force(calculator, rattled)
        noise = 1e-4 * stiff if precision == 32 else 0.0
        assert largest_force(model, rattled) < limit + noise


def displaced(frame, amplitude):
    frame = frame.copy()
    frame.rattle(amplitude, seed=1)
    return frame
