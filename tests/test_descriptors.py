"""Density and invariants, against featomic."""

import ase
import pytest
import torch
from featomic.torch import SoapPowerSpectrum, SphericalExpansion
from helpers import TYPES, crystal, make_model, molecules, prepare, target

from metatrain_scalar_tensor.density import Density
from metatrain_scalar_tensor.invariants import PowerSpectrum


FRAMES = {
    "molecules": molecules(2),
    "crystal": [crystal()],
    "lone atom": [ase.Atoms("O", [[0.0, 0.0, 0.0]])],
    "without hydrogen": [ase.Atoms("CO", [[0.0, 0.0, 0.0], [0.0, 0.0, 1.2]])],
}


@pytest.fixture
def model():
    return make_model({"y": target()})


@pytest.fixture
def density(model):
    """The density as featomic gives it, not calibrated."""
    return Density(model.hypers["expansion"], TYPES)


@pytest.mark.parametrize("frames", FRAMES.values(), ids=FRAMES)
def test_density_is_featomics_spherical_expansion(frames, model, density):
    systems = prepare(model, frames)
    values = density(systems)
    first_atom = torch.tensor([0] + [len(s) for s in systems]).cumsum(0)
    num_radial = density.num_channels // len(TYPES)
    total = 0.0
    for key, block in SphericalExpansion(**model.hypers["expansion"])(systems).items():
        rows = first_atom[block.samples.column("system")] + block.samples.column("atom")
        q = TYPES.index(int(key["neighbor_type"]))
        ours = values[int(key["o3_lambda"])][rows]
        ours = ours[:, :, q * num_radial : (q + 1) * num_radial]
        torch.testing.assert_close(ours, block.values, atol=1e-14, rtol=1e-14)
        total += block.values.pow(2).sum()
    # nothing but featomic's values is in there
    torch.testing.assert_close(sum(x.pow(2).sum() for x in values), total)


@pytest.mark.parametrize("frames", FRAMES.values(), ids=FRAMES)
def test_invariants_are_featomics_soap_power_spectrum(frames, model, density):
    systems = prepare(model, frames)
    num_types, num_radial = len(TYPES), density.num_channels // len(TYPES)
    spectrum = PowerSpectrum(density.max_angular, num_types, num_radial)(
        density(systems)
    )
    pairs = [
        ((q1, n1), (q2, n2))
        for q1 in TYPES
        for n1 in range(num_radial)
        for q2 in TYPES
        for n2 in range(num_radial)
        if q1 <= q2
    ]
    column = {pair: i for i, pair in enumerate(pairs)}
    first_atom = torch.tensor([0] + [len(s) for s in systems]).cumsum(0)
    total = 0.0
    for key, block in SoapPowerSpectrum(**model.hypers["expansion"])(systems).items():
        rows = first_atom[block.samples.column("system")] + block.samples.column("atom")
        q1, q2 = int(key["neighbor_1_type"]), int(key["neighbor_2_type"])
        columns = [
            l * len(pairs) + column[(q1, n1), (q2, n2)]
            for l, n1, n2 in block.properties.values.tolist()
        ]
        torch.testing.assert_close(
            spectrum[rows][:, columns], block.values, atol=1e-12, rtol=1e-12
        )
        total += block.values.pow(2).sum()
    torch.testing.assert_close(spectrum.pow(2).sum(), torch.as_tensor(total))


def test_calibration_gives_every_angular_channel_unit_mean_square(model, density):
    systems = prepare(model, molecules(5))
    assert not density.is_calibrated
    density.calibrate(systems)
    assert density.is_calibrated
    for values in density(systems):
        assert values.pow(2).mean().item() == pytest.approx(1.0, rel=1e-12)


def test_calibration_on_lone_atoms_is_finite(model, density):
    density.calibrate(prepare(model, FRAMES["lone atom"]))
    assert density.scale.isfinite().all()
