"""Infrared and Raman spectra, and the example that makes them."""

import sys

import numpy as np
import pytest
from ase import units
from metatrain.cli.train import train_model

from documents import shortened
from files import PROJECT


EXAMPLE = PROJECT / "examples" / "water-spectra"
sys.path.insert(0, str(EXAMPLE))
import spectra  # noqa: E402


STEP, STRIDE, TEMPERATURE = 0.5 * units.fs, 4, 300.0


def oscillator(wavenumbers, amplitudes, number=8000):
    """Sum of harmonic vibrations of classical nuclei, as velocity Verlet gives it.

    Each has the mean square velocity kT in its normal coordinate.
    """
    time = STEP * STRIDE * np.arange(number)
    omega = np.array(wavenumbers) * spectra.INVERSE_CM
    discrete = 2 / STEP * np.arcsin(omega * STEP / 2)
    coordinate = np.sqrt(2 * units.kB * TEMPERATURE) / omega
    return np.cos(discrete * time[:, None]) * coordinate @ np.array(amplitudes)


def test_bands_of_harmonic_vibrations():
    """At their wavenumber, with the squared derivative as their integral."""
    lines = [1600.0, 3800.0]
    derivatives = np.array([[0.3, 0.0, -0.1], [0.0, 0.2, 0.0]])
    values = 1.5 + oscillator(lines, derivatives)
    nu, density = spectra.spectrum_of_derivative(values, STEP, STRIDE, TEMPERATURE)
    for line, derivative in zip(lines, derivatives):
        near = np.abs(nu - line) < 100
        total = density[near].sum(1)
        assert np.average(nu[near], weights=total) == pytest.approx(line, abs=0.1)
        integral = np.trapezoid(density[near], nu[near], axis=0)
        # velocity Verlet's own error: (ω Δt)² / 8
        np.testing.assert_allclose(integral, derivative**2, rtol=0.02, atol=1e-9)


def test_intensity_of_a_vibration():
    """1 (D/Å)²/amu is 42.256 km/mol, as every textbook has it."""
    debye = np.array([[units.Debye, 0.0, 0.0]])
    assert spectra.infrared(debye**2)[0] == pytest.approx(42.256, rel=1e-4)


def test_raman_activity_is_invariant_and_counts_both_parts():
    """45 a'² of a sphere, 7 γ'² of a traceless matrix: γ'² = 3/2 of its squares."""

    def intensity(matrix):
        return spectra.raman(
            spectra.isotropic(matrix) ** 2,
            spectra.anisotropic(matrix) ** 2,
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


def test_example(tmp_path, monkeypatch, capsys):
    """All its steps, with little of everything and a cheaper method."""
    pytest.importorskip("pyscf")
    import make_data
    import reference

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(reference, "FUNCTIONAL", "HF")
    monkeypatch.setattr(reference, "BASIS", "sto-3g")

    def run(module, *arguments):
        monkeypatch.setattr(sys, "argv", [module.__name__, *arguments])
        module.main()

    run(make_data, "--number", "10")
    train_model(shortened(EXAMPLE / "options.yaml"), output="model.pt")

    import simulate

    few = ["--molecules", "2", "--equilibration", "0.002", "--time", "0.1"]
    run(simulate, "model.pt", *few, "-o", "dynamics.npz")
    run(spectra, "dynamics.npz")
    assert "300 K" in capsys.readouterr().out
    assert (tmp_path / "spectra.png").exists()
