"""Data of ``examples/hamiltonian``: what they are, and runs that are interrupted."""

import itertools
import sys

import ase.build
import ase.io
import ase.units
import numpy as np
import pytest
import torch
from metatensor.torch import allclose
from metatomic.torch.o3 import O3Transformations
from metatrain.utils.data import DiskDataset
from omegaconf import OmegaConf
from scipy.linalg import eigh

from equivariance import operations, transformed
from files import DATA, PROJECT
from metatrain_scalar_tensor.hamiltonian import HOME, bloch, to_matrices, to_targets


dft = pytest.importorskip("pyscf.pbc.dft")
sys.path.insert(0, str(PROJECT / "examples" / "hamiltonian"))
import dataset  # noqa: E402
import make_data  # noqa: E402
from crystal import Crystal  # noqa: E402
from electronic import Method, converged, minimum, vibrations  # noqa: E402
from geometries import thermal  # noqa: E402
from graphene import TightBinding, graphene  # noqa: E402
from options_file import write_options  # noqa: E402


METHOD = Method("hf", "sto-3g")
TARGETS = ["mtt::fock_onsite", "mtt::fock_offsite"]
OVERLAPS = ["mtt::overlap_onsite", "mtt::overlap_offsite"]


def make(monkeypatch, *arguments):
    """Run the script."""
    monkeypatch.setattr(sys, "argv", ["make_data.py", *map(str, arguments)])
    make_data.main()


def matrix_of(sample, names):
    """The assembled matrix of a molecule."""
    sample = sample._asdict()
    types = sample["system"].types.tolist()
    return to_matrices(*(sample[name] for name in names), types)[HOME].numpy()


@pytest.mark.parametrize("matrix", operations().values(), ids=operations())
def test_tight_binding_of_graphene(matrix):
    frame = graphene()
    frame.rattle(0.1, seed=0)
    source = TightBinding()
    matrices, _ = source.matrices(frame)
    for (a, b, c), values in matrices.items():
        np.testing.assert_allclose(values, matrices[-a, -b, -c].T, atol=1e-12)
    turned, _ = source.matrices(transformed(frame, matrix))
    operation = O3Transformations(torch.tensor(matrix).unsqueeze(0), 2)
    types, basis = frame.numbers.tolist(), source.irreps(frame)
    for one, other in zip(
        to_targets(matrices, types, basis), to_targets(turned, types, basis)
    ):
        assert allclose(operation.transform_tensormap(one), other, atol=1e-10, rtol=0)


def test_data_of_the_repository(tmp_path, monkeypatch):
    """Are what the script writes."""
    make(monkeypatch, tmp_path / "a.zip", "--number", 2)
    written = DiskDataset(tmp_path / "a.zip")
    data = DiskDataset(DATA / "hamiltonian" / "water_sto3g.zip")
    assert len(data) == 30
    for i, name in itertools.product(range(2), TARGETS):
        ours, theirs = (d[i]._asdict()[name] for d in (written, data))
        assert allclose(ours, theirs, atol=1e-4, rtol=0)  # eV


def test_file_has_what_pyscf_computes(tmp_path, monkeypatch):
    """Of every molecule of a file of geometries, with the overlap and a description."""
    molecules = [ase.build.molecule(name) for name in ("H2O", "NH3")]
    ase.io.write(tmp_path / "two.xyz", molecules)
    data, options = tmp_path / "data.zip", tmp_path / "options.yaml"
    make(
        monkeypatch,
        *(data, "--geometry", tmp_path / "two.xyz", "--displacement", 0.0),
        *("--method", "pbe", "--basis", "6-31g", "--number", 1, "--options", options),
    )
    samples = DiskDataset(data)
    assert len(samples) == 2
    for sample, atoms in zip(samples, molecules):
        assert sample.system.types.tolist() == atoms.numbers.tolist()
        state = converged(Method("pbe", "6-31g").state(atoms))
        energies = np.linalg.eigvals(
            np.linalg.solve(matrix_of(sample, OVERLAPS), matrix_of(sample, TARGETS))
        )
        expected = state.mo_energy * ase.units.Hartree
        np.testing.assert_allclose(np.sort(energies.real), expected, atol=1e-5)
    description = dataset.read_description(data)
    assert description["method"] == "pbe" and description["basis"] == "6-31g"
    options = OmegaConf.load(options)
    assert options.training_set.systems.read_from == str(data)
    for name in TARGETS:
        irreps = options.training_set.targets[name].type.spherical.irreps
        assert irreps == {
            1: [{"o3_lambda": 0, "o3_sigma": 1, "num": 2}],
            7: [{"o3_lambda": l, "o3_sigma": 1, "num": 3 - l} for l in (0, 1)],
            8: [{"o3_lambda": l, "o3_sigma": 1, "num": 3 - l} for l in (0, 1)],
        }


def test_vibrations_have_the_temperature():
    """Along a normal coordinate q, E = ω² q² / 2, and its mean is k T / 2."""
    temperature = 300.0
    water = minimum(ase.build.molecule("H2O"), METHOD)
    wavenumbers, modes = vibrations(water, METHOD)
    frequencies = 2 * np.pi * 100 * ase.units._c / ase.units.second * wavenumbers

    def energy(shift):
        frame = water.copy()
        frame.positions += shift
        return converged(METHOD.state(frame)).e_tot * ase.units.Hartree

    q = 0.01  # √amu Å
    for frequency, mode in zip(frequencies, modes):
        second = energy(q * mode) + energy(-q * mode) - 2 * energy(0.0)
        assert second / q**2 == pytest.approx(frequency**2, rel=1e-2)

    number = 4000
    sampler = thermal(water, METHOD, temperature, np.random.default_rng(0))
    shifts = np.array([next(sampler).positions for _ in range(number)])
    shifts -= water.positions
    # orthogonal with the masses as weights
    weights = water.get_masses()[:, None]
    coordinates = np.einsum("fax,qax->fq", shifts * weights, modes)
    energies = 0.5 * frequencies**2 * coordinates.var(0)
    expected = 0.5 * ase.units.kB * temperature
    np.testing.assert_allclose(energies, expected, rtol=5 * np.sqrt(2 / number))
    rest = shifts - np.einsum("fq,qax->fax", coordinates, modes)
    assert np.abs(rest).max() < 1e-8  # no translation, no rotation


def test_interrupted_run_continues(tmp_path, monkeypatch):
    """With the same data, and without doing again what is done."""
    whole, path = tmp_path / "whole.zip", tmp_path / "data.zip"
    options = ["--number", 4, "--seed", 3]
    make(monkeypatch, whole, *options)
    compute, computed = Method.matrices, []

    def counted(method, atoms):
        if len(computed) == 3:
            raise KeyboardInterrupt
        computed.append(atoms)
        return compute(method, atoms)

    monkeypatch.setattr(Method, "matrices", counted)
    with pytest.raises(KeyboardInterrupt):
        make(monkeypatch, path, *options)
    assert not path.exists()
    with pytest.raises(ValueError, match='with other options, .*"seed": 3.* repeat'):
        make(monkeypatch, path, "--number", 4, "--seed", 4)
    with monkeypatch.context() as context:  # another structure of the same name
        context.setattr(make_data, "starting_points", lambda *_: [ase.Atoms("He")])
        with pytest.raises(ValueError, match="with other options, .* repeat"):
            make(monkeypatch, path, *options)
    monkeypatch.setattr(Method, "matrices", compute)
    computed.clear()
    monkeypatch.setattr(
        Method, "matrices", lambda m, atoms: computed.append(atoms) or compute(m, atoms)
    )
    make(monkeypatch, path, *options)
    assert len(computed) == 1
    assert [p.name for p in tmp_path.iterdir() if p.is_dir()] == []
    for one, other in zip(DiskDataset(whole), DiskDataset(path)):
        assert torch.equal(one.system.positions, other.system.positions)
        for name in TARGETS + OVERLAPS:
            assert allclose(
                one._asdict()[name], other._asdict()[name], atol=1e-12, rtol=0
            )
    with pytest.raises(FileExistsError, match="remove it, or choose another name"):
        make(monkeypatch, path, *options)


CHAIN = ase.Atoms("H2", [[0, 0, 0], [0.8, 0.1, 0]], pbc=[True, False, False])
CHAIN.cell[0, 0] = 2.2  # Å


@pytest.mark.parametrize("cells", [0, 2, -3])
def test_crystal_has_the_bands_of_pyscf(cells):
    """Matrices of the cell shifts give the levels at the k-points of the mesh.

    In whichever cell an atom is given: blocks belong to the nearest images.
    """
    source = Crystal("pbe", "sto-3g", (5, 1, 1))
    chain = CHAIN.copy()
    chain.positions[1] += cells * chain.cell[0]
    matrices, overlaps = source.matrices(chain)
    assert source.electrons(chain) == 2
    for shift, matrix in matrices.items():
        opposite = tuple(-t for t in shift)
        np.testing.assert_allclose(matrix, matrices[opposite].T, atol=1e-6)
    distances = [
        np.linalg.norm(chain.positions[1] - chain.positions[0] + shift @ chain.cell[:])
        for shift, matrix in matrices.items()
        if matrix[0, 1] != 0.0
    ]
    assert max(distances) < 2.6 * chain.cell[0, 0]  # half the mesh is 2.5 cells
    cell = source.cell(chain)
    k = cell.make_kpts([5, 1, 1])
    state = dft.KRKS(cell, k, xc="pbe").density_fit().run()
    for at_k, levels in zip(cell.get_scaled_kpts(k), state.mo_energy):
        found = eigh(*(bloch(m, at_k).numpy() for m in (matrices, overlaps)))[0]
        np.testing.assert_allclose(found, levels * ase.units.Hartree, atol=1e-4)
    assert source.kpoints() == [(0.0, 0.0, 0.0), (0.2, 0.0, 0.0), (0.4, 0.0, 0.0)]


def test_coarse_meshes_are_named():
    with pytest.warns(
        UserWarning, match="1.5 cells apart along .* a have overlaps of 0"
    ):
        Crystal("hf", "sto-3g", (3, 1, 1)).matrices(CHAIN)


def test_linear_molecules_have_all_bends():
    """Also where the minimum is linear up to its accuracy only."""
    molecule = ase.Atoms("BeH2", [[0, 0, 0], [0, 0, 1.3], [0, 0, -1.3]])
    molecule = minimum(molecule, METHOD)
    wavenumbers, _ = vibrations(molecule, METHOD)
    assert len(wavenumbers) == 4
    assert wavenumbers[0] == pytest.approx(wavenumbers[1], rel=1e-3)
    angle = molecule.get_angle(1, 0, 2)
    assert angle == pytest.approx(180.0, abs=1e-3)


def test_options_have_the_angular_channels_of_the_basis(tmp_path):
    irreps = {8: [{"o3_lambda": 3, "o3_sigma": 1, "num": 1}]}
    write_options(str(tmp_path / "options.yaml"), "data.zip", irreps, 3.0)
    expansion = OmegaConf.load(tmp_path / "options.yaml").architecture.model.expansion
    assert expansion.basis.max_angular == 6


def test_options_reach_all_pairs_that_matter(tmp_path, monkeypatch):
    """The cutoff is the distance beyond which elements are below 1 meV."""
    pair = ase.Atoms("He2", [[0, 0, 0], [0, 0, 6.5]])
    ase.io.write(tmp_path / "pair.xyz", pair)
    for basis, cutoff in (("sto-3g", 5.0), ("aug-cc-pvdz", 7.0)):
        options = tmp_path / f"{basis}.yaml"
        make(
            monkeypatch,
            *(tmp_path / f"{basis}.zip", "--geometry", tmp_path / "pair.xyz"),
            *("--basis", basis, "--number", 1, "--displacement", 0.01),
            *("--options", options),
        )
        model = OmegaConf.load(options).architecture.model
        assert model.atom_pairs.cutoff == cutoff


def test_processes_share_the_work(tmp_path, monkeypatch):
    alone, together = tmp_path / "1.zip", tmp_path / "2.zip"
    make(monkeypatch, alone, "--number", 2)
    make(monkeypatch, together, "--number", 2, "--processes", 2)
    for one, other in zip(DiskDataset(alone), DiskDataset(together)):
        difference = matrix_of(one, TARGETS) - matrix_of(other, TARGETS)
        assert np.abs(difference).max() < 1e-8


def test_errors(tmp_path, monkeypatch, capsys):
    with pytest.raises(ValueError, match="OH has 9 electrons"):
        METHOD.state(ase.Atoms("OH", [[0, 0, 0], [0, 0, 1.0]]))
    for info in ({"charge": 2}, {"spin_multiplicity": 3}):
        with pytest.raises(ValueError, match="only neutral molecules with closed"):
            METHOD.state(ase.Atoms("He", info=info))
    for basis in ("lanl2dz", "ccecp-cc-pvdz", "gth-dzvp"):
        with pytest.raises(ValueError, match=f"set {basis} is for the valence elec"):
            Method("hf", basis).state(ase.Atoms("HCl", [[0, 0, 0], [0, 0, 1.3]]))
    with pytest.raises(ValueError, match="HI has atoms beyond Kr"):
        METHOD.state(ase.Atoms("HI", [[0, 0, 0], [0, 0, 1.6]]))
    straight = ase.Atoms("OH2", [[0, 0, 0], [0, 0, 0.95], [0, 0, -0.95]])
    with pytest.raises(
        RuntimeError, match="imaginary wavenumbers .*2355.9.* is no min"
    ):
        vibrations(straight, METHOD)
    assert 90 < minimum(straight, METHOD).get_angle(1, 0, 2) < 120
    with pytest.raises(ValueError, match="does not say how its matrices were made"):
        dataset.read_description(DATA / "hamiltonian" / "water_sto3g.zip")
    for wrong in (["--molecules", "water"], ["--temperature", "300"]):
        for crystal in (["--periodic"], ["--kpoints", "3", "1", "1"]):
            with pytest.raises(SystemExit):
                make(monkeypatch, tmp_path / "a.zip", *crystal, *wrong)
            expected = f"{crystal[0]} takes no {wrong[0]}"
            assert expected in capsys.readouterr().err
    for option in ("--number", "--temperature"):
        with pytest.raises(SystemExit):
            make(monkeypatch, tmp_path / "a.zip", option, "0")
        assert f"{option} must be positive, not 0" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        make(monkeypatch, tmp_path / "a.zip", "--kpoints", "4", "1", "1")
    assert "--kpoints must be odd, not [4, 1, 1]" in capsys.readouterr().err
    ase.io.write(tmp_path / "chain.xyz", CHAIN)
    with pytest.raises(ValueError, match="crystals need --kpoints, and molecules"):
        make(monkeypatch, tmp_path / "a.zip", "--geometry", tmp_path / "chain.xyz")
