"""Orbitals of electronic-structure codes: their order, signs and rotation law."""

import ase.build
import numpy as np
import pytest
import torch
from metatensor.torch import allclose
from metatomic.torch.o3 import O3Transformations

from equivariance import operations
from metatrain_scalar_tensor.hamiltonian import (
    CODES,
    HOME,
    Convention,
    atomic_types,
    basis_of_shells,
    orbital_order,
    to_targets,
)


def orbitals(x, y, z):
    """Real solid harmonics by their names, with the norm √(4π / (2l + 1))."""
    r2 = x**2 + y**2 + z**2
    return {
        "s": np.ones_like(x),
        **{"x": x, "y": y, "z": z},
        "xy": np.sqrt(3) * x * y,
        "yz": np.sqrt(3) * y * z,
        "xz": np.sqrt(3) * x * z,
        "z2": (3 * z**2 - r2) / 2,
        "x2-y2": np.sqrt(3) / 2 * (x**2 - y**2),
        "y(3x2-y2)": np.sqrt(5 / 8) * y * (3 * x**2 - y**2),
        "xyz": np.sqrt(15) * x * y * z,
        "yz2": np.sqrt(3 / 8) * y * (5 * z**2 - r2),
        "z3": z * (5 * z**2 - 3 * r2) / 2,
        "xz2": np.sqrt(3 / 8) * x * (5 * z**2 - r2),
        "z(x2-y2)": np.sqrt(15) / 2 * z * (x**2 - y**2),
        "x(x2-3y2)": np.sqrt(5 / 8) * x * (x**2 - 3 * y**2),
    }


# as the codes and their interfaces document them
DOCUMENTED = {
    "PySCF": [
        "s",
        "x y z",
        "xy yz z2 xz x2-y2",
        "y(3x2-y2) xyz yz2 z3 xz2 z(x2-y2) x(x2-3y2)",
    ],
    "FHI-aims": [
        "s",
        "y z -x",
        "xy yz z2 -xz x2-y2",
        "y(3x2-y2) xyz yz2 z3 -xz2 z(x2-y2) -x(x2-3y2)",
    ],
    "OpenMX": [
        "s",
        "x y z",
        "z2 x2-y2 xy xz yz",
        "z3 xz2 yz2 z(x2-y2) xyz x(x2-3y2) y(3x2-y2)",
    ],
    "ABACUS": [
        "s",
        "z -x -y",
        "z2 -xz -yz x2-y2 xy",
        "z3 -xz2 -yz2 z(x2-y2) xyz -x(x2-3y2) -y(3x2-y2)",
    ],
    "SIESTA": [
        "s",
        "-y z -x",
        "xy -yz z2 -xz x2-y2",
        "-y(3x2-y2) xyz -yz2 z3 -xz2 z(x2-y2) -x(x2-3y2)",
    ],
}
TYPES = [8, 1, 6]
SHELLS = [[1, 0, 3, 1], [0, 1], [0, 2, 1]]  # in no order


def matrix_of(code, cloud, centers):
    """Overlaps in the code's orbitals, with a cloud of points as the weight."""
    values = []
    for center, shells in zip(centers, SHELLS):
        vectors = cloud - center
        decay = np.exp(-0.3 * (vectors**2).sum(1))
        found = orbitals(*vectors.T)
        for n, l in enumerate(shells):
            for name in DOCUMENTED[code][l].split():
                sign = -1 if name.startswith("-") else 1
                values.append(sign * decay ** (1 + n) * found[name.removeprefix("-")])
    values = np.array(values)  # (orbitals, points)
    return values @ values.T


@pytest.fixture
def points():
    rng = np.random.default_rng(0)
    return rng.normal(size=(50, 3)), rng.normal(size=(3, 3))


@pytest.mark.parametrize("matrix", operations().values(), ids=operations())
@pytest.mark.parametrize("code", CODES)
def test_rotation_law(code, matrix, points):
    """A code's matrices rotate with Wigner's, once they are in our order."""
    basis, convention = basis_of_shells(TYPES, SHELLS), Convention(code, SHELLS)
    before, after = (
        to_targets({HOME: convention.to_ours(matrix_of(code, *geometry))}, TYPES, basis)
        for geometry in (points, [x @ matrix.T for x in points])
    )
    operation = O3Transformations(torch.tensor(matrix).unsqueeze(0), 3)
    for one, other in zip(before, after):
        assert allclose(operation.transform_tensormap(one), other, atol=1e-10, rtol=0)
        assert not allclose(one, other, atol=1e-3, rtol=0)


@pytest.mark.parametrize("code", CODES)
def test_codes_agree_there_and_back(code, points):
    matrix = matrix_of(code, *points)
    convention = Convention(code, SHELLS)
    ours = convention.to_ours(matrix)
    pyscf = Convention("PySCF", SHELLS).to_ours(matrix_of("PySCF", *points))
    np.testing.assert_allclose(ours, pyscf, rtol=0, atol=1e-10)
    np.testing.assert_array_equal(convention.from_ours(ours), matrix)


def test_pyscf_is_as_its_molecules_are():
    gto = pytest.importorskip("pyscf").gto
    water = ase.build.molecule("H2O")
    geometry = list(zip(water.symbols, water.positions.tolist()))
    mol = gto.M(atom=geometry, basis="cc-pvtz", verbose=0)
    shells = [[] for _ in atomic_types(mol)]
    for atom, _, name, m in mol.ao_labels(fmt=None):
        if m in ("", "x", "z^2", "+0"):  # one of each shell
            shells[atom].append("spdf".index(name[-1]))
    convention = Convention("PySCF", shells)
    assert np.array_equal(convention.order, orbital_order(mol))
    assert set(convention.signs) == {1}


def test_errors():
    with pytest.raises(
        ValueError, match="unknown code 'VASP': choose one of ABACUS, F"
    ):
        Convention("VASP", [[0]])
    with pytest.raises(ValueError, match="OpenMX has shells up to l = 3, not 4"):
        Convention("OpenMX", [[4]])
    for change in ("to_ours", "from_ours"):
        with pytest.raises(ValueError, match=r"have 4 orbitals, .* shape \(3, 3\)"):
            getattr(Convention("ABACUS", [[0, 1]]), change)(np.eye(3))
    with pytest.raises(ValueError, match="atoms of type 1 have different orbitals"):
        basis_of_shells([1, 1], [[0], [0, 0]])
