"""Infrared and Raman spectra of harmonic vibrations, whose bands are known."""

from pathlib import Path

import ase
import ase.io
import numpy as np
import pytest
from ase import units

from charges import Charges, exported
from metatrain_scalar_tensor.command import main
from metatrain_scalar_tensor.simulation.spectra import (
    INFRARED,
    INVERSE_CM,
    anisotropic,
    infrared,
    isotropic,
    length_of_parts,
    raman,
    spectrum_of_derivative,
)
from metatrain_scalar_tensor.simulation.trajectory import Spectra


pytestmark = pytest.mark.usefixtures("in_temporary_folder")


STEP, STRIDE, TEMPERATURE = 0.5 * units.fs, 4, 300.0
ARGUMENTS = ["--timestep", "0.5", "--stride", "4", "--temperature", "300"]


def oscillator(wavenumbers, amplitudes, number=8000, step=STEP, stride=STRIDE):
    """Sum of harmonic vibrations of classical nuclei, by velocity Verlet.

    Each has the mean square velocity kT in its normal coordinate.
    """
    omega = np.array(wavenumbers) * INVERSE_CM
    coordinate, velocity = np.ones_like(omega), np.zeros_like(omega)
    states = []
    for _ in range(number * stride):
        states.append([coordinate, velocity])
        velocity = velocity - step / 2 * omega**2 * coordinate
        coordinate = coordinate + step * velocity
        velocity = velocity - step / 2 * omega**2 * coordinate
    coordinates, velocities = np.array(states).transpose(1, 0, 2)
    size = np.sqrt(units.kB * TEMPERATURE / (velocities**2).mean(0))
    return (coordinates * size)[::stride] @ np.array(amplitudes)


@pytest.mark.parametrize("resolution", [None, 10.0])
def test_bands_of_harmonic_vibrations(resolution):
    """At their wavenumber, with the squared derivative as their integral."""
    lines = [1600.0, 3800.0]
    derivatives = np.array([[0.3, 0.0, -0.1], [0.0, 0.2, 0.0]])
    values = 1.5 + oscillator(lines, derivatives)
    length = None
    if resolution is not None:
        length = length_of_parts(resolution, len(values), STEP, STRIDE)
    nu, density = spectrum_of_derivative(values, STEP, STRIDE, TEMPERATURE, length)
    for line, derivative in zip(lines, derivatives):
        near = np.abs(nu - line) < 100
        total = density[near].sum(1)
        assert np.average(nu[near], weights=total) == pytest.approx(line, abs=0.1)
        integral = np.trapezoid(density[near], nu[near], axis=0)
        np.testing.assert_allclose(integral, derivative**2, rtol=1e-3, atol=1e-6)
    if resolution is not None:  # of the Hann window: full width at half maximum
        near = (nu > 1500) & (nu < 1700)
        high = nu[near][density[near, 0] > density[near, 0].max() / 2]
        assert high[-1] - high[0] == pytest.approx(1.44 * resolution, rel=0.1)


def test_errors_of_velocity_verlet_are_corrected():
    """Also where it has 7 % more energy in the coordinate than in the velocity."""
    step = 1.0 * units.fs
    values = oscillator([3700.0], [[0.3]], step=step, stride=1)
    nu, density = spectrum_of_derivative(values, step, 1, TEMPERATURE)
    near = np.abs(nu - 3700) < 100
    assert np.trapezoid(density[near, 0], nu[near]) == pytest.approx(0.09, rel=1e-3)


def test_intensity_of_a_vibration():
    """1 (D/Å)²/amu is 42.256 km/mol, as every textbook has it."""
    debye = np.array([[units.Debye, 0.0, 0.0]])
    assert infrared(debye**2)[0] == pytest.approx(42.256, rel=1e-4)


def test_raman_activity_is_invariant_and_counts_both_parts():
    """45 a'² of a sphere, 7 γ'² of a traceless matrix: γ'² = 3/2 of its squares."""

    def intensity(matrix):
        return raman(
            isotropic(matrix) ** 2,
            anisotropic(matrix) ** 2,
            np.array([1000.0]),
            TEMPERATURE,
        )[0]

    sphere, axial = np.eye(3)[None], np.diag([1.0, -0.5, -0.5])[None]
    # γ of an axial matrix is the difference of its two eigenvalues
    assert intensity(axial) / intensity(sphere) == pytest.approx(7 * 1.5**2 / 45)
    rotation, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    both = sphere + 2 * axial
    assert intensity(rotation @ both @ rotation.T) == pytest.approx(intensity(both))
    assert intensity(both) == pytest.approx(intensity(sphere) + 4 * intensity(axial))


CHARGE, LINE = 0.4, 2000.0


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A charged oscillator in files: ``model.pt`` and ``gas.traj``.

    Two molecules of hydrogen fluoride vibrate along x.
    """
    folder = tmp_path_factory.mktemp("spectra")
    exported(Charges(CHARGE)).save(str(folder / "model.pt"))
    pair = ase.Atoms("HF", [[0.9, 0, 0], [0, 0, 0]])
    gas = pair + pair
    gas.positions[2:, 1] += 5.0
    gas.set_cell([10.0, 10.0, 10.0])
    gas.pbc = True
    reduced = 1 / (1 / pair.get_masses()).sum()
    shifts = np.sqrt(reduced) / pair.get_masses() * [1, -1]  # of the two atoms
    frames = []
    for coordinate in oscillator([LINE], [[1.0]], number=500)[:, 0]:
        frame = gas.copy()
        frame.positions[:, 0] += coordinate * np.tile(shifts, 2)
        frames.append(frame)
    ase.io.write(folder / "gas.traj", frames)
    return folder


def spectra_of(files, *arguments):
    trajectory, model = str(files / "gas.traj"), str(files / "model.pt")
    names = ["--dipole", "mtt::mu", "--polarizability", "mtt::alpha"]
    main(["spectra", trajectory, "--model", model, *names, *ARGUMENTS, *arguments])


def band(spectra, name):
    near = np.abs(spectra.wavenumbers - LINE) < 100
    nu, values = spectra.wavenumbers[near], spectra.of[name][near]
    return np.average(nu, weights=values), np.trapezoid(values, nu)


def test_command(files, tmp_path, capsys):
    """The intensities of a charge and a polarizability that follow the bond."""
    spectra_of(files, "--atoms-per-molecule", "2", "-o", "spectra.csv")
    assert "500 structures, wavenumbers up to 8" in capsys.readouterr().out
    assert (tmp_path / "spectra.png").exists()
    spectra = Spectra.read(tmp_path / "spectra.csv")
    assert spectra.temperature == 300.0

    masses = ase.Atoms("HF").get_masses()
    square = CHARGE**2 * (1 / masses).sum()  # of the derivative by Q, in e²/amu
    line, intensity = band(spectra, "infrared")
    assert line == pytest.approx(LINE, abs=1.0)
    assert intensity == pytest.approx(INFRARED * square, rel=0.01)
    # diag(3, 1, 1): mean 5/3, anisotropy 2
    expected = raman(
        np.array([(5 / 3) ** 2 * square]),
        np.array([[[2 / 3 * 2**2 * square]]]),
        np.array([LINE]),
        TEMPERATURE,
    )
    assert band(spectra, "raman")[1] == pytest.approx(expected[0], rel=0.01)
    # Two molecules in 1000 Å³, as a concentration in mol/cm³, and cm/mol
    absorption = 2 / 1000 * 1e24 / units._Nav * 1e5 * intensity
    assert band(spectra, "absorption")[1] == pytest.approx(absorption, rel=1e-4)


def test_all_atoms_together(files, tmp_path):
    """Equal phases: twice the dipole of one molecule."""
    spectra_of(files, "-o", "two.csv", "--resolution", "50")
    square = CHARGE**2 * (1 / ase.Atoms("HF").get_masses()).sum()
    _, intensity = band(Spectra.read(tmp_path / "two.csv"), "infrared")
    assert intensity == pytest.approx(4 * INFRARED * square, rel=0.01)


def test_progress_is_shown_on_terminals_only(files, capfd, monkeypatch):
    ase.io.write("few.traj", ase.io.read(files / "gas.traj", ":10"))
    command = ["spectra", "few.traj", "--model", str(files / "model.pt"), *ARGUMENTS]
    command += ["--dipole", "mtt::mu"]
    main(command)
    assert "evaluation" not in capfd.readouterr().err
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    main(command)
    assert "evaluation:" in capfd.readouterr().err
    main([*command, "--quiet"])
    assert "evaluation" not in capfd.readouterr().err


def test_what_has_no_spectra(files):
    for arguments, message in [
        (["-o", "spectra.dat"], "has to end in .csv"),
        (["-o", "no/spectra.csv"], "can't be written: there is no 'no'"),
        (
            ["--atoms-per-molecule", "3"],
            "HFHF are not molecules of 3 atoms",
        ),
        (
            ["--resolution", "1"],
            "parts of 16678 structures, at least 8 and at most the 500",
        ),
    ]:
        with pytest.raises(SystemExit, match=message):
            spectra_of(files, *arguments)
    model = str(files / "model.pt")
    frames = ase.io.read(files / "gas.traj", ":9")
    frames[5].numbers[0] = 9
    ase.io.write("changing.traj", frames)
    ase.io.write("short.traj", frames[:5])
    frames[3].positions[1, 2] = np.nan
    ase.io.write("exploded.traj", frames)
    Path("empty.xyz").touch()
    for file, message in [
        ("exploded.traj", "structure 3 has NaN or infinite values as positions"),
        ("empty.xyz", "'empty.xyz' can't be read"),
        ("changing.traj", "structure 5 has the atoms F2HF, and structure 0 HFHF"),
        ("short.traj", "5 structures are too few"),
    ]:
        with pytest.raises(SystemExit, match=message):
            main(["spectra", file, "--model", model, "--dipole", "mtt::mu", *ARGUMENTS])
    with pytest.raises(SystemExit, match="name a dipole, a polarizability or both"):
        main(["spectra", str(files / "gas.traj"), "--model", model, *ARGUMENTS])
