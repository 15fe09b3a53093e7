"""ASE's calculator for dipoles and polarizabilities, and its units and layouts."""

import sys

import ase.build
import numpy as np
import pytest
from ase import units
from ase.calculators.calculator import PropertyNotImplementedError
from ase.phonons import Phonons
from ase.vibrations import Infrared
from ase.vibrations.placzek import PlaczekStatic
from ase.vibrations.raman import StaticRamanCalculator
from metatomic.torch import ModelOutput
from metatomic_ase import MetatomicCalculator
from scipy.spatial.transform import Rotation

from charges import Ions, exported
from helpers import cartesian, crystal, make_model, molecules, spherical, target
from metatrain_scalar_tensor.simulation import (
    TensorCalculator,
    polar_tensors,
    raman_tensors,
)


pytestmark = pytest.mark.usefixtures("in_temporary_folder")


SMALL = {
    "expansion__basis__max_angular": 2,
    "network__num_neurons_per_layer": 8,
    "tensor_basis__num_channels": 2,
    "tensor_basis__neighbors": None,
}


def of_system(**kwargs):
    return {"sample_kind": "system", **kwargs}


def small_model(targets, **changes):
    return make_model(targets, **SMALL, **changes).export()


TARGETS = {
    "energy": target(**of_system(unit="kcal/mol")),
    "mtt::mu": cartesian(1, **of_system(unit="e*bohr")),
    "mtt::alpha": cartesian(2, **of_system(unit="bohr^3")),
}
NAMES = {"dipole": "mtt::mu", "polarizability": "mtt::alpha"}


@pytest.fixture(scope="module")
def model():
    return small_model(TARGETS, index_symmetry={"mtt::alpha": "ij=ji"})


@pytest.fixture(scope="module")
def calculator(model):
    return TensorCalculator(model, **NAMES)


@pytest.fixture
def atoms():
    return molecules(1)[0]


def evaluate(model, atoms, name):
    """The output of a model as it is."""
    request = {name: ModelOutput(sample_kind="system")}
    values = MetatomicCalculator(model).run_model(atoms, request)[name].block().values
    return values[0, ..., 0].numpy()


def test_tensors_of_the_model_in_units_of_ase(model, calculator, atoms):
    atoms.calc = calculator
    mu = evaluate(model, atoms, "mtt::mu") * units.Bohr
    np.testing.assert_allclose(atoms.get_dipole_moment(), mu, rtol=1e-8)
    alpha = evaluate(model, atoms, "mtt::alpha") * units.Bohr**2 / units.Hartree
    found = calculator.get_polarizability(atoms)
    np.testing.assert_allclose(found, alpha, rtol=1e-8)


@pytest.mark.parametrize("frame", [molecules(1)[0], crystal()], ids=["open", "cell"])
def test_energies_are_those_of_metatomic(model, calculator, frame):
    expected = MetatomicCalculator(model)
    names = ["energy", "forces", "energies"] + ["stress"] * bool(frame.pbc.all())
    for name in names:
        found = calculator.get_property(name, frame)
        np.testing.assert_allclose(found, expected.get_property(name, frame), rtol=1e-8)
    free_energy = calculator.get_potential_energy(frame, force_consistent=True)
    assert free_energy == pytest.approx(expected.get_potential_energy(frame))


def test_dipoles_turn_with_the_molecule(calculator, atoms):
    rotation = -Rotation.random(rng=np.random.default_rng(0)).as_matrix()
    turned = atoms.copy()
    turned.positions = atoms.positions @ rotation.T + 1.0
    mu = calculator.get_dipole_moment(atoms)
    found = calculator.get_dipole_moment(turned)
    np.testing.assert_allclose(found, rotation @ mu, atol=1e-10)
    alpha = calculator.get_polarizability(atoms)
    found = calculator.get_polarizability(turned)
    np.testing.assert_allclose(found, rotation @ alpha @ rotation.T, atol=1e-10)


def test_results_follow_the_structure(model, calculator, atoms):
    before = calculator.get_dipole_moment(atoms)
    atoms.positions[0] += 0.1
    after = calculator.get_dipole_moment(atoms)
    assert np.abs(after - before).max() > 1e-4
    np.testing.assert_array_equal(calculator.results["dipole"], after)
    # energies and forces do not lose what is known already
    calculator.get_forces(atoms)
    assert {"dipole", "forces"} <= calculator.results.keys()
    atoms.info["charge"] = 1.0
    assert calculator.check_state(atoms) == ["charge"]


def test_two_models(calculator, atoms):
    potential = small_model({"energy": TARGETS["energy"]}, seed=1)
    tensors = small_model({"mtt::d": TARGETS["mtt::mu"]}, seed=2)
    both = TensorCalculator(potential, tensors, dipole="mtt::d")
    mu = evaluate(tensors, atoms, "mtt::d") * units.Bohr
    np.testing.assert_allclose(both.get_dipole_moment(atoms), mu, rtol=1e-8)
    energy = MetatomicCalculator(potential).get_potential_energy(atoms)
    assert both.get_potential_energy(atoms) == energy
    alone = TensorCalculator(tensors, dipole="mtt::d")
    found = alone.get_dipole_moment(atoms)
    np.testing.assert_array_equal(found, both.results["dipole"])
    with pytest.raises(PropertyNotImplementedError):
        alone.get_potential_energy(atoms)


def along_modes(derivatives, modes, atoms):
    """Derivatives along normal coordinates, from those by positions.

    :param derivatives: ``(atoms, ..., 3)``
    :param modes: of ASE, with masses, ``(modes, atoms * 3)``
    """
    displacements = modes.reshape(-1, len(atoms), 3)
    displacements = displacements / np.sqrt(atoms.get_masses())[:, None]
    return np.einsum("a...k,qak->q...", derivatives, displacements)


def test_infrared_intensities_are_those_of_polar_tensors(model, calculator, atoms):
    atoms = atoms[:3]
    atoms.calc = calculator
    vibrations = Infrared(atoms, delta=1e-3)
    vibrations.run()
    vibrations.read()
    tensors = polar_tensors(atoms, model, "mtt::mu")
    derivatives = along_modes(tensors, vibrations.modes, atoms) / units.Debye
    expected = (derivatives**2).sum(1)
    assert expected.max() > 1e-3
    np.testing.assert_allclose(vibrations.intensities, expected, rtol=1e-4, atol=1e-9)


def test_raman_activities_are_those_of_raman_tensors(model, calculator, atoms):
    atoms = atoms[:3]
    atoms.calc = calculator
    exobj = {"exobj": lambda: calculator.get_polarizability}
    StaticRamanCalculator(atoms, **exobj, delta=1e-3).run()
    raman = PlaczekStatic(atoms, delta=1e-3)
    activities = raman.get_absolute_intensities()
    tensors = raman_tensors(atoms, model, "mtt::alpha")
    derivatives = along_modes(tensors, raman.modes_Qq, atoms)
    trace = np.trace(derivatives, axis1=1, axis2=2)
    squares = (derivatives**2).sum((1, 2))
    expected = 45 * trace**2 / 9 + 7 * (3 * squares - trace**2) / 2
    assert expected.max() > 1e-5
    np.testing.assert_allclose(activities, expected, rtol=1e-4, atol=1e-9)


def test_phonons_of_ase():
    """Acoustic modes cost nothing, without the sum rule that ASE can enforce."""
    energy = {"energy": target(**of_system(unit="eV"))}
    diamond = ase.build.bulk("C", cubic=False)
    calculator = TensorCalculator(small_model(energy, atomic_types=[6]))
    phonons = Phonons(diamond, calculator, supercell=(2, 1, 1), delta=1e-3)
    phonons.run()
    phonons.read(acoustic=False)
    squares = np.sort(np.abs(phonons.band_structure([[0.0, 0.0, 0.0]])[0]) ** 2)
    assert squares[:3].max() < 1e-6 * squares[-1]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("frame", [molecules(1)[0], crystal()], ids=["open", "cell"])
def test_derivatives_are_those_of_finite_differences(model, calculator, frame, name):
    function = {"dipole": polar_tensors, "polarizability": raman_tensors}[name]
    found = function(frame, model, NAMES[name])
    np.testing.assert_allclose(found.sum(0), 0.0, atol=1e-10)
    unit = {"dipole": 1.0, "polarizability": units.Hartree * units.Bohr}[name]
    step = 1e-4
    for atom, axis in [(0, 0), (1, 2), (len(frame) - 1, 1)]:
        sides = []
        for sign in (1, -1):
            moved = frame.copy()
            moved.positions[atom, axis] += sign * step
            sides.append(unit * calculator.get_property(name, moved))
        difference = (sides[0] - sides[1]) / (2 * step)
        np.testing.assert_allclose(found[atom, ..., axis], difference, atol=1e-7)


@pytest.mark.parametrize("charge", [None, 2.0])
def test_models_that_ask_for_the_charge(charge):
    atoms = ase.Atoms("HF", [[0, 0, 0.9], [0, 0, 0]])
    if charge is not None:
        atoms.info["charge"] = charge
    model = exported(Ions(0.5))
    expected = (charge or 0.0) * 0.5 * np.stack([np.eye(3), -np.eye(3)])
    found = polar_tensors(atoms, model, "mtt::mu")
    np.testing.assert_allclose(found, expected, atol=1e-12)
    dipole = TensorCalculator(model, dipole="mtt::mu").get_dipole_moment(atoms)
    np.testing.assert_allclose(dipole, expected[0] @ [0, 0, 0.9], atol=1e-12)


def matrix(name, model, atoms):
    """The polarizability from the orthonormal irreps of an output."""
    request = {name: ModelOutput(sample_kind="system")}
    tensor = MetatomicCalculator(model).run_model(atoms, request)[name]
    trace = abs(tensor.block({"o3_lambda": 0}).values.item())
    xy, yz, zz, xz, xx_yy = tensor.block({"o3_lambda": 2}).values.flatten().tolist()
    result = np.diag([xx_yy, -xx_yy, 0.0]) / np.sqrt(2)
    result += zz * np.diag([-1.0, -1.0, 2.0]) / np.sqrt(6) + trace * np.eye(
        3
    ) / np.sqrt(3)
    for value, i, j in ((xy, 0, 1), (yz, 1, 2), (xz, 0, 2)):
        result[i, j] = result[j, i] = value / np.sqrt(2)
    return result


@pytest.fixture(scope="module")
def of_irreps():
    targets = {
        "mtt::mu": spherical((1, 1), **of_system(unit="Debye")),
        "mtt::alpha": spherical((0, 1), (2, 1), **of_system(unit="A^3")),
        "mtt::trace": spherical((0, 1), **of_system(unit="A^3")),
        "mtt::rest": spherical((2, 1), **of_system(unit="bohr^3")),
    }
    return small_model(targets, seed=3)


def test_spherical_components(of_irreps, atoms):
    calculator = TensorCalculator(of_irreps, **NAMES)
    y, z, x = evaluate(of_irreps, atoms, "mtt::mu") * units.Debye
    np.testing.assert_allclose(
        calculator.get_dipole_moment(atoms), [x, y, z], rtol=1e-8
    )
    alpha = calculator.get_polarizability(atoms) * units.Hartree * units.Bohr
    np.testing.assert_allclose(alpha, matrix("mtt::alpha", of_irreps, atoms), rtol=1e-7)


def test_an_output_for_every_irrep(of_irreps, atoms):
    names = ["mtt::trace", "mtt::rest"]
    calculator = TensorCalculator(of_irreps, polarizability=names)
    alpha = calculator.get_polarizability(atoms) * units.Hartree * units.Bohr
    trace = abs(evaluate(of_irreps, atoms, "mtt::trace").item()) * np.sqrt(3)
    assert np.trace(alpha) == pytest.approx(trace)
    rest = np.linalg.norm(evaluate(of_irreps, atoms, "mtt::rest")) * units.Bohr**3
    found = np.linalg.norm(alpha - np.trace(alpha) / 3 * np.eye(3))
    assert found == pytest.approx(rest, rel=1e-7)
    with pytest.raises(ValueError, match=r"and not irreps \[\(0, 1\)\]"):
        TensorCalculator(of_irreps, polarizability="mtt::trace").get_polarizability(
            atoms
        )


def test_what_the_model_lacks(model):
    no_unit = small_model({"mtt::none": cartesian(1, **of_system())})
    for lacking, name, message in [
        (model, "mtt::nu", "no output 'mtt::nu' .* energy, .* mtt::alpha, "),
        (model, "mtt::alpha", r"'bohr\^3' for 'mtt::alpha', and a dipole .* 'e\*A'"),
        (no_unit, "mtt::none", "unit '' for 'mtt::none', and a dipole"),
    ]:
        with pytest.raises(ValueError, match=message):
            TensorCalculator(lacking, dipole=name)


def test_files_that_are_no_models(model, atoms):
    model.save("model.pt")
    found = polar_tensors(atoms, "model.pt", "mtt::mu")
    np.testing.assert_array_equal(found, polar_tensors(atoms, model, "mtt::mu"))
    with pytest.raises(FileNotFoundError, match="no model 'nothing.pt'"):
        TensorCalculator("nothing.pt")
    with open("text.pt", "w") as file:
        file.write("text")
    with pytest.raises(ValueError, match="'text.pt' can't be read as an exported"):
        polar_tensors(atoms, "text.pt", "mtt::mu")


def test_properties_that_no_output_stands_for(model, calculator, atoms, monkeypatch):
    with pytest.raises(PropertyNotImplementedError, match="dipole='...'.* mtt::mu"):
        TensorCalculator(model).get_dipole_moment(atoms)
    with pytest.raises(PropertyNotImplementedError, match="no stress without a cell"):
        calculator.get_stress(atoms)
    wrong = small_model({"mtt::m": cartesian(2, **of_system(unit="e*A"))})
    with pytest.raises(ValueError, match=r"three .* not shape \(1, 3, 3\) of 'mtt::m'"):
        TensorCalculator(wrong, dipole="mtt::m").get_dipole_moment(atoms)
    monkeypatch.setitem(sys.modules, "metatomic_ase", None)
    with pytest.raises(ImportError, match="pip install metatomic-ase"):
        TensorCalculator(model)
