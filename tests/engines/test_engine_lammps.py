"""What can be checked of LAMMPS' input without LAMMPS: see its README."""

import ase.io
import numpy as np
import pytest
from metatomic.torch import ModelOutput
from metatomic_ase import MetatomicCalculator


@pytest.fixture
def lines(example):
    """The commands of the input, as words."""
    lines = (example / "lammps.in").read_text().splitlines()
    words = [line.split("#")[0].split() for line in lines]
    return {name: [w[1:] for w in words if w and w[0] == name] for name in names(words)}


def names(words):
    return {line[0] for line in words if line}


def after(words, keyword, number=1):
    """The values of a keyword."""
    start = words.index(keyword) + 1
    return words[start : start + number]


def read_data(folder):
    atoms = ase.io.read(
        folder / "ethanol.lmp", format="lammps-data", atom_style="atomic"
    )
    return atoms, atoms.arrays["type"]


def test_data_are_the_molecule_of_the_other_engines(example):
    expected = ase.io.read(example / "ethanol.xyz")
    atoms, _ = read_data(example)
    assert atoms.symbols.get_chemical_formula() == "C2H6O"
    np.testing.assert_array_equal(atoms.numbers, expected.numbers)
    np.testing.assert_allclose(atoms.positions, expected.positions)
    np.testing.assert_allclose(atoms.cell[:], expected.cell[:])


def test_atom_types_are_those_of_the_models(example, lines):
    atoms, types = read_data(example)
    [[*_, model]] = lines["pair_style"]
    [[first, second, *pair_types]] = lines["pair_coeff"]
    assert (first, second) == ("*", "*")
    [compute] = [words for words in lines["compute"] if words[2] == "metatomic"]
    numbers = np.array(pair_types, dtype=int)
    assert after(compute, "types", len(numbers)) == pair_types
    np.testing.assert_array_equal(numbers[types - 1], atoms.numbers)
    assert len(numbers) == types.max()
    for path in (model, compute[3]):
        known = MetatomicCalculator(example / path).model().capabilities().atomic_types
        assert set(numbers) <= set(known)


def test_outputs_are_within_the_limits_of_the_compute(example, lines):
    """One block, one property, at most one component axis, of the declared size."""
    [[name, group, _, model, output, *keywords]] = [
        words for words in lines["compute"] if words[2] == "metatomic"
    ]
    assert group == "all"
    calculator = MetatomicCalculator(example / model)
    capabilities = calculator.model().capabilities()
    # the compute asks for the samples that the model declares
    kind = capabilities.outputs[output].sample_kind
    [unit] = after(keywords, "unit")
    request = {output: ModelOutput(unit=unit, sample_kind=kind)}
    assert kind == "atom"  # the input makes a sum of it
    [[reduced, *reduce]] = [w for w in lines["compute"] if w[2] == "reduce"]
    assert reduce == ["all", "reduce", "sum", *(f"c_{name}[{i}]" for i in (1, 2, 3))]
    assert f"c_{reduced}[3]" in lines["thermo_style"][0]

    atoms, _ = read_data(example)
    tensor = calculator.run_model(atoms, request)[output]
    block = tensor.block()  # fails if there are several
    assert len(block.properties) == 1
    assert len(block.components) == 1
    assert after(keywords, "shape", 2) == ["vector", str(len(block.components[0]))]
    system = {output: ModelOutput(unit=unit, sample_kind="system")}
    dipole = calculator.run_model(atoms, system)[output].block().values
    np.testing.assert_allclose(block.values.sum(dim=0), dipole[0], atol=1e-10)


def test_the_number_of_neighbors_is_set(lines):
    """The pair style stops where an atom has more."""
    [words] = lines["neigh_modify"]
    assert int(*after(words, "one")) >= 2000
