"""Forces and stress that some data have and others lack."""

import ase
import ase.build
import ase.io
import numpy as np
import pytest
import torch
from ase.calculators.emt import EMT
from metatrain.cli.train import train_model
from omegaconf import OmegaConf

from options import write_options
from processes import TIMEOUT, free_port, start_training, train_as_two_tasks


pytestmark = pytest.mark.usefixtures("in_temporary_folder")


def copper(periodic, number=10):
    """Rattled crystals or clusters, with energies, forces and stress."""
    frames = []
    for seed in range(number):
        frame = ase.build.bulk("Cu", cubic=True)
        if not periodic:
            frame = ase.Atoms(frame.numbers, frame.positions)
        frame.rattle(0.1, seed=seed)
        frame.calc = EMT()
        energy, forces = frame.get_potential_energy(), frame.get_forces()
        stress = frame.get_stress(voigt=False) if periodic else np.full((3, 3), np.nan)
        frame.calc = None
        frame.info.update(E=energy, S=stress)
        frame.arrays["F"] = forces
        frames.append(frame)
    return frames


def data_set(file, **gradients):
    return {
        "systems": {"read_from": file, "length_unit": "angstrom"},
        "targets": {
            "energy": {"key": "E", "unit": "eV", "forces": {"key": "F"}, **gradients}
        },
    }


def options(*data_sets):
    result = write_options(
        validation_set=0.3, test_set=0.0, architecture__training__solve_heads=True
    )
    result.training_set = list(data_sets)
    return result


STRESS = {"stress": {"key": "S"}}


@pytest.mark.parametrize("crystals_first", [True, False])
def test_data_sets_with_and_without_stress(crystals_first):
    ase.io.write("crystals.xyz", copper(periodic=True))
    ase.io.write("clusters.xyz", copper(periodic=False))
    data_sets = [
        data_set("crystals.xyz", **STRESS),
        data_set("clusters.xyz", stress=False),
    ]
    first = options(*(data_sets if crystals_first else data_sets[::-1]))
    first.final_eval = True
    train_model(first)
    results = torch.load("model.ckpt", weights_only=False)["best_results"]
    assert any("energy_strain_gradients RMSE" in name for name in results)
    # goes on, and also when the model knows of stress and the last data set does not
    changed = options(*data_sets)
    changed.architecture.training.num_epochs = 3
    train_model(changed, restart_from="model.ckpt")


@pytest.mark.parametrize("crystals_first", [True, False])
def test_validation_sets_with_other_gradients(crystals_first):
    ase.io.write("crystals.xyz", copper(periodic=True))
    ase.io.write("clusters.xyz", copper(periodic=False))
    sets = [
        data_set("crystals.xyz", **STRESS),
        data_set("clusters.xyz", stress=False),
    ][:: 1 if crystals_first else -1]
    both = options(sets[0])
    both.validation_set = sets[1]
    train_model(both)


@pytest.mark.parametrize("num_processes", [1, 2])
def test_isolated_atoms_are_a_data_set_smaller_than_a_batch(num_processes, tmp_path):
    """No step of it is left out, with fewer structures than a batch or processes."""
    ase.io.write(tmp_path / "crystals.xyz", copper(periodic=True, number=12))
    atom = ase.Atoms("Cu", info={"E": 3.6}, cell=[0, 0, 0])
    atom.arrays["F"] = np.zeros((1, 3))
    ase.io.write(tmp_path / "atoms.xyz", atom)
    both = options(
        data_set(str(tmp_path / "crystals.xyz"), **STRESS),
        data_set(str(tmp_path / "atoms.xyz"), stress=False),
    )
    both.validation_set = 0.25
    training = {"batch_size": 4 // num_processes, "distributed_port": free_port()}
    both.architecture.training.update(training, num_epochs=3, solve_heads=False)
    if num_processes == 1:
        train_model(both)
        checkpoint = "model.ckpt"
    else:
        OmegaConf.save(both, tmp_path / "options.yaml")
        train_as_two_tasks(tmp_path)
        checkpoint = tmp_path / "0" / "model.ckpt"
    state = torch.load(checkpoint, weights_only=False)["trainer_state"]
    steps = {int(s["step"]) for s in state["optimizer"]["state"].values()}
    assert steps == {3 * (2 + 1)}


def test_missing_rows_are_nan():
    frames = copper(periodic=True) + copper(periodic=False)
    ase.io.write("mixed.xyz", frames)
    mixed = options(data_set("mixed.xyz", **STRESS))
    mixed.final_eval = True
    train_model(mixed)


def write_bad(kind):
    """A file in which something is wrong with a structure, the fourth."""
    frames = copper(periodic=True)
    bad = frames[3]
    if kind == "six numbers":
        for frame in frames:
            frame.info["S"] = frame.info["S"].flatten()[[0, 4, 8, 5, 2, 1]]
    elif kind == "stress missing":
        del bad.info["S"]
    elif kind == "forces missing":
        del bad.arrays["F"]
    elif kind == "cluster":
        bad.info["S"] = np.eye(3)
        bad.cell, bad.pbc = None, False
    ase.io.write("data.xyz", frames)


@pytest.mark.parametrize(
    "kind, message",
    [
        (
            "six numbers",
            r"stress of target 'energy': structure 0 of 'data.xyz' has 6 numbers under "
            "'S', and 9 are expected: 'scalar-tensor convert'.*'stress: false'",
        ),
        (
            "stress missing",
            r"structure 3 of 'data.xyz' has no 'S', which others have: write NaN \(nine"
            r"\).*, or set 'stress: false'",
        ),
        (
            "forces missing",
            r"forces of target 'energy': structure 3 of 'data.xyz' has no 'F', .* NaN "
            r"\(three for every atom\).*, or set 'forces: false'",
        ),
        (
            "cluster",
            "structure 3 of 'data.xyz' has a stress, and no cell: write nine NaN",
        ),
    ],
)
def test_gradients_that_some_structures_lack(kind, message):
    write_bad(kind)
    with pytest.raises(ValueError, match=message):
        train_model(options(data_set("data.xyz", **STRESS)))


def test_misspelt_keys():
    ase.io.write("data.xyz", copper(periodic=True))
    wrong = data_set("data.xyz", stress=False)
    wrong["targets"]["energy"]["forces"] = {"key": "force"}
    with pytest.raises(ValueError, match="no structure.*usable 'force'.*'F'.*'forces:"):
        train_model(options(wrong))
    with pytest.raises(ValueError, match=r"usable 'virials'.*'virial: false'"):
        train_model(options(data_set("data.xyz", virial={"key": "virials"})))


def test_gradients_of_which_all_values_are_missing():
    ase.io.write("clusters.xyz", copper(periodic=False))
    with pytest.raises(Exception, match="no stress in 'clusters.xyz' but NaN: .*false"):
        train_model(options(data_set("clusters.xyz", **STRESS)))


@pytest.mark.parametrize("is_asked_for", [True, False])
def test_only_gradients_that_are_asked_for_must_be_there(is_asked_for):
    """metatrain looks for the stress of energies by default: that is no request."""
    ase.io.write("data.xyz", copper(periodic=True))
    what = {"stress": True} if is_asked_for else {}
    OmegaConf.save(options(data_set("data.xyz", **what)), "options.yaml")
    process = start_training(".")
    output = process.communicate(timeout=TIMEOUT)[0]
    if is_asked_for:
        assert process.returncode != 0
        assert "no structure of 'data.xyz' has a usable 'stress'" in output
    else:
        assert process.returncode == 0, output
