"""Density and invariants, against featomic."""

import ase
import featomic.torch
import pytest
import torch
from metatomic.torch import System
from metatrain.utils.neighbor_lists import (
    get_requested_neighbor_lists,
    get_system_with_neighbor_lists,
)

from helpers import (
    TYPES,
    Expansion,
    cluster,
    crystal,
    hypers,
    make_model,
    molecules,
    prepare,
    spherical,
)
from metatrain_scalar_tensor.invariants import PowerSpectrum


def slab():
    """Periodic in two directions."""
    atoms = crystal(1)
    atoms.pbc = [True, True, False]
    atoms.cell[2] = 0.0
    return atoms


FRAMES = {
    "molecules": molecules(2),
    "cluster": [cluster(30)],
    "cell smaller than the cutoff": [crystal()],
    "slab": [slab()],
    "lone atom": [ase.Atoms("O", [[0.0, 0.0, 0.0]])],
    "without hydrogen": [ase.Atoms("CO", [[0.0, 0.0, 0.0], [0.0, 0.0, 1.2]])],
}
EXPANSIONS = {
    "default": hypers()["expansion"],
    "other": hypers(
        expansion__cutoff={
            "radius": 3.5,
            "smoothing": {"type": "ShiftedCosine", "width": 1.2},
        },
        expansion__density={
            "type": "Gaussian",
            "width": 0.5,
            "center_atom_weight": 0.3,
            "scaling": {
                "type": "Willatt2018",
                "rate": 0.5,
                "scale": 1.5,
                "exponent": 3,
            },
        },
        expansion__basis={
            "type": "TensorProduct",
            "max_angular": 4,
            "radial": {"type": "Gto", "max_radial": 3},
        },
    )["expansion"],
    "extreme": hypers(
        expansion__cutoff={
            "radius": 2.0,
            "smoothing": {"type": "ShiftedCosine", "width": 2.0},
        },
        expansion__density={
            "type": "Gaussian",
            "width": 0.15,
            "center_atom_weight": 0.0,
            "scaling": None,
        },
        expansion__basis={
            "type": "TensorProduct",
            "max_angular": 9,
            "radial": {"type": "Gto", "max_radial": 0},
        },
    )["expansion"],
}


def exact(expansion):
    """Arguments for featomic, without the errors of its splines."""
    return {**expansion, "basis": {**expansion["basis"], "spline_accuracy": None}}


def rows_of(block, systems):
    """Numbers of the samples of a block among the atoms of all systems."""
    first_atom = torch.tensor([0] + [len(s) for s in systems]).cumsum(0)
    return first_atom[block.samples.column("system")] + block.samples.column("atom")


@pytest.mark.parametrize("engine", ["featomic", "torch"])
@pytest.mark.parametrize("expansion", EXPANSIONS.values(), ids=EXPANSIONS)
@pytest.mark.parametrize("frames", FRAMES.values(), ids=FRAMES)
def test_density_is_featomics_spherical_expansion(frames, expansion, engine):
    expand = Expansion(expansion, engine)
    systems = prepare(expand, frames)
    values = expand(systems)
    num_radial = expand.density.num_channels // len(TYPES)
    total = 0.0
    calculator = featomic.torch.SphericalExpansion(**exact(expansion))
    reference = calculator(prepare(calculator, frames))
    for key, block in reference.items():
        q = TYPES.index(int(key["neighbor_type"]))
        ours = values[int(key["o3_lambda"])][rows_of(block, systems)]
        ours = ours[:, :, q * num_radial : (q + 1) * num_radial]
        torch.testing.assert_close(ours, block.values, atol=1e-11, rtol=1e-9)
        total += block.values.pow(2).sum()
    # nothing but featomic's values is in there
    torch.testing.assert_close(sum(x.pow(2).sum() for x in values), total)


@pytest.mark.parametrize("expansion", EXPANSIONS.values(), ids=EXPANSIONS)
@pytest.mark.parametrize("frames", FRAMES.values(), ids=FRAMES)
def test_engines_have_the_same_gradients(frames, expansion):
    gradients = []
    for engine in ("featomic", "torch"):
        expand = Expansion(expansion, engine)
        leaves, systems = [], []
        for frame in frames:
            positions = torch.tensor(frame.positions, requires_grad=True)
            # metatomic wants zero where a structure is not periodic
            cell = torch.tensor(frame.cell.array * frame.pbc[:, None])
            cell.requires_grad_(True)
            leaves += [positions, cell]
            system = System(
                types=torch.tensor(frame.numbers, dtype=torch.int32),
                positions=positions,
                cell=cell,
                pbc=torch.tensor(frame.pbc),
            )
            lists = get_requested_neighbor_lists(expand)
            systems.append(get_system_with_neighbor_lists(system, lists))
        torch.manual_seed(0)
        total = sum((x * torch.randn_like(x)).sum() for x in expand(systems))
        grads = torch.autograd.grad(total, leaves, allow_unused=True)
        gradients.append([torch.zeros(3) if g is None else g for g in grads])
    for ours, reference in zip(*gradients[::-1]):
        scale = max(1.0, reference.abs().max().item())
        assert (ours - reference).abs().max() < 1e-9 * scale


@pytest.mark.parametrize("frames", FRAMES.values(), ids=FRAMES)
def test_engines_agree_in_float32(frames):
    values = []
    for engine in ("featomic", "torch"):
        expand = Expansion(EXPANSIONS["default"], engine).float()
        values.append(expand(prepare(expand, frames, torch.float32)))
    for ours, reference in zip(*values[::-1]):
        assert ours.dtype == torch.float32
        scale = max(1.0, reference.abs().max().item())
        assert (ours - reference).abs().max() < 1e-5 * scale


def test_models_of_both_engines_have_the_same_predictions():
    predictions = []
    for engine in ("featomic", "torch"):
        model = make_model({"y": spherical((0, 1), (3, -1))}, engine=engine)
        systems = prepare(model, [crystal(), *molecules(2)])
        predictions.append(model(systems, {"y": model.outputs["y"]})["y"])
    for first, second in zip(*(p.blocks() for p in predictions)):
        torch.testing.assert_close(first.values, second.values, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("frames", FRAMES.values(), ids=FRAMES)
def test_invariants_are_featomics_soap_power_spectrum(frames):
    expansion = EXPANSIONS["default"]
    expand = Expansion(expansion, "torch")
    systems = prepare(expand, frames)
    num_radial = expand.density.num_channels // len(TYPES)
    spectrum = PowerSpectrum(expand.density.max_angular, len(TYPES), num_radial)
    invariants = spectrum(expand(systems))
    pairs = [
        ((q1, n1), (q2, n2))
        for q1 in TYPES
        for n1 in range(num_radial)
        for q2 in TYPES
        for n2 in range(num_radial)
        if q1 <= q2
    ]
    column = {pair: i for i, pair in enumerate(pairs)}
    total = 0.0
    calculator = featomic.torch.SoapPowerSpectrum(**exact(expansion))
    reference = calculator(prepare(calculator, frames))
    for key, block in reference.items():
        q1, q2 = int(key["neighbor_1_type"]), int(key["neighbor_2_type"])
        columns = [
            l * len(pairs) + column[(q1, n1), (q2, n2)]
            for l, n1, n2 in block.properties.values.tolist()
        ]
        ours = invariants[rows_of(block, systems)][:, columns]
        torch.testing.assert_close(ours, block.values, atol=1e-11, rtol=1e-9)
        total += block.values.pow(2).sum()
    torch.testing.assert_close(invariants.pow(2).sum(), torch.as_tensor(total))


def test_calibration_gives_every_angular_channel_unit_mean_square():
    expand = Expansion(EXPANSIONS["default"], "torch")
    systems = prepare(expand, molecules(5))
    assert not expand.density.is_calibrated
    expand.calibrate(systems)
    assert expand.density.is_calibrated
    for values in expand(systems):
        assert values.pow(2).mean().item() == pytest.approx(1.0, rel=1e-12)


def test_calibration_on_lone_atoms_is_finite():
    expand = Expansion(EXPANSIONS["default"], "torch")
    expand.calibrate(prepare(expand, FRAMES["lone atom"]))
    assert expand.density.scale.isfinite().all()
