"""Models of some of their targets."""

import ase.io
import pytest
import torch
from metatomic.torch import load_atomistic_model
from metatomic_ase import MetatomicCalculator

from atom_pairs import ATOM_TARGETS, PAIR_TARGETS
from helpers import cartesian, make_model, molecules, predict, prepare, target
from metatrain_scalar_tensor.command import main


TARGETS = {
    "energy": target(sample_kind="system"),
    "mtt::mu": cartesian(1, sample_kind="system"),
    "mtt::alpha": cartesian(2),
}


pytestmark = pytest.mark.usefixtures("in_temporary_folder")


def export(targets, names, **changes):
    """The whole model, and the one that ``scalar-tensor export`` writes."""
    model = make_model(targets, **changes)
    torch.save(model.get_checkpoint(), "model.ckpt")
    main(["export", "model.ckpt", "-o", "some.pt", "--outputs", *names])
    return model, load_atomistic_model("some.pt")


def assert_equal_predictions(model, some, names):
    frames = molecules(2)
    systems = prepare(model, frames)
    outputs = {name: model.outputs[name] for name in names}
    expected, found = model(systems, outputs), some.module(systems, outputs)
    for name in names:
        for ours, block in zip(found[name].blocks(), expected[name].blocks()):
            torch.testing.assert_close(ours.values, block.values)


@pytest.mark.parametrize(
    "names, reach",
    [(["energy"], 5.0), (["mtt::mu"], 10.0), (["energy", "mtt::alpha"], 10.0)],
)
def test_some_targets_with_their_reach(names, reach):
    model, some = export(TARGETS, names)
    assert model.export().capabilities().interaction_range == 10.0
    capabilities = some.capabilities()
    assert capabilities.interaction_range == reach
    assert set(TARGETS) & set(capabilities.outputs) == set(names)
    for name in set(TARGETS) - set(names):
        assert not any(name.removeprefix("mtt::") in o for o in capabilities.outputs)
    assert_equal_predictions(model, some, names)


def test_messages_reach_further_also_for_energies():
    _, some = export(TARGETS, ["energy"], messages__layers=2)
    assert some.capabilities().interaction_range == 15.0


def test_targets_of_atoms_without_those_of_pairs():
    targets = {**ATOM_TARGETS, **PAIR_TARGETS}
    changes = {"expansion__basis__max_angular": 4, "tensor_basis__neighbors": None}
    for names, reach in ((list(ATOM_TARGETS), 5.0), (list(PAIR_TARGETS)[:1], 10.0)):
        model, some = export(targets, names, **changes)
        assert some.capabilities().interaction_range == reach
        assert_equal_predictions(model, some, names)


def test_the_exported_file_runs_in_an_engine():
    model, _ = export(TARGETS, ["energy"])
    frame = molecules(1)[0]
    frame.calc = MetatomicCalculator("some.pt")
    expected = predict(model, [frame], ["energy"], "system")["energy"].block().values
    assert frame.get_potential_energy() == pytest.approx(expected.item())


def test_targets_that_are_not_there():
    with pytest.raises(SystemExit, match=r"no targets \['mtt::nu'\], but \['energy', "):
        export(TARGETS, ["mtt::nu"])
    ase.io.write("data.xyz", molecules(1))
    with pytest.raises(SystemExit, match="scalar-tensor: "):
        main(["export", "data.xyz", "-o", "x.pt", "--outputs", "energy"])
