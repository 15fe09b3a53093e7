"""Bad input gets a clear error, and nothing is lost."""

import ase
import ase.io
import pytest
import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import systems_to_torch
from metatrain.cli.train import train_model
from metatrain.utils.architectures import get_default_hypers
from metatrain.utils.data import Dataset
from metatrain.utils.pydantic import MetatrainValidationError

from helpers import (
    cartesian,
    crystal,
    dataset_info,
    make_model,
    molecules,
    predict,
    spherical,
    target,
)
from metatrain_scalar_tensor import ScalarTensor, Trainer
from metatrain_scalar_tensor.interface.sources import Sources
from metatrain_scalar_tensor.training.check_hypers import check_hypers
from metatrain_scalar_tensor.training.checks import check_datasets
from options import write_options


pytestmark = pytest.mark.usefixtures("in_temporary_folder")


def dataset(model, frames, values):
    """A dataset of frames and of values of the target 'y' of the model."""
    layout = model.dataset_info.targets["y"].layout
    maps = [
        TensorMap(
            layout.keys,
            [
                TensorBlock(
                    value,
                    Labels(["system"], torch.tensor([[i]])),
                    [
                        Labels(c.names, torch.arange(n).reshape(-1, 1))
                        for c, n in zip(layout.block().components, value.shape[1:])
                    ],
                    layout.block().properties,
                )
            ],
        )
        for i, value in enumerate(values)
    ]
    return Dataset.from_dict({"system": systems_to_torch(frames), "y": maps})


def check(values, frames=None, cutoff=5.0):
    model = make_model({"y": cartesian(1, sample_kind="system")})
    frames = frames or molecules(len(values))
    data = dataset(model, frames, values)
    check_datasets([data], [data], model.dataset_info, {}, cutoff, Sources("."))


GOOD = torch.ones(1, 3, 1, dtype=torch.float64)


def test_atom_type_that_the_model_has_not_seen():
    model = make_model({"y": target()}, atomic_types=[1, 6])
    for element in ("Au", "He"):
        with pytest.raises(ValueError, match=r"does not know: .* the types \[1, 6\]"):
            predict(model, [ase.Atoms(["C", element], [[0, 0, 0], [0, 0, 2]])], ["y"])
    with pytest.raises(Exception, match="does not know"):  # TorchScript's own class
        predict(torch.jit.script(model), [ase.Atoms("Au")], ["y"])


def test_atom_type_in_the_data_that_the_model_is_not_for(tmp_path):
    options = write_options(architecture__atomic_types=[1, 6])
    with pytest.raises(Exception, match=r"atoms of the types \[.*8.*\].*for \[1, 6\]"):
        train_model(options)
    assert not (tmp_path / "model.pt").exists()


def test_lambda_above_max_angular():
    with pytest.raises(ValueError, match="'y'.*o3_lambda=3.*'max_angular' is 2.*set"):
        make_model({"y": spherical((3, 1))}, expansion__basis__max_angular=2)
    with pytest.raises(ValueError, match="o3_lambda=0, o3_sigma=-1 needs .* up to 1"):
        make_model({"y": spherical((0, -1))}, expansion__basis__max_angular=0)
    make_model({"y": spherical((2, -1))}, expansion__basis__max_angular=2)


def test_zbl_without_an_energy():
    with pytest.raises(ValueError, match="needs a target that is an energy in eV"):
        make_model({"y": target()}, zbl=True)


def test_cutoff_function_that_featomic_does_not_have():
    with pytest.raises(ValueError, match="only cutoff function is 'ShiftedCo"):
        make_model(
            {"y": target()},
            engine="featomic",
            expansion__cutoff__smoothing__type="Smoothstep",
        )


def test_cutoff_function_wider_than_the_cutoff():
    with pytest.raises(ValueError, match="'width' of .* to the radius or less"):
        make_model({"y": target()}, expansion__cutoff__radius=0.3)


def test_missing_values_are_fine():
    check([GOOD, GOOD * torch.nan])


def test_nan_targets():
    with pytest.raises(ValueError, match="'y' has no value in the training set"):
        check([GOOD * torch.nan, GOOD * torch.nan])


def test_infinite_targets():
    with pytest.raises(ValueError, match="'y' of structure 1 .* infinite.*write NaN"):
        check([GOOD, GOOD * torch.inf])


def test_wrong_shaped_targets():
    wrong = torch.ones(1, 4, 1, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"structure 1 .*\(4, 1\) where \(3, 1\)"):
        check([GOOD, wrong])


def test_missing_key(tmp_path):
    options = write_options(training_set__targets={"mtt::mu": {"key": "dipole"}})
    with pytest.raises(ValueError, match="'mtt::mu': structure 0 .* no 'dipole'.*'mu'"):
        train_model(options)


def test_empty_structure():
    empty = ase.Atoms()
    with pytest.raises(ValueError, match="structure 1 .* has no atoms: take it out"):
        check([GOOD, GOOD], [molecules(1)[0], empty])
    model = make_model({"y": target()})
    with pytest.raises(ValueError, match="structure 1 .* has no atoms: leave it out"):
        predict(model, [molecules(1)[0], empty], ["y"])
    with pytest.raises(ValueError, match="there is no structure to predict"):
        predict(model, [], ["y"])


def test_lone_atom_has_finite_predictions_and_gradients():
    names = {"y": spherical((0, 1), (2, 1), (1, -1)), "mtt::energy": target()}
    model = make_model(names)
    lone = ase.Atoms("O", [[0.0, 0.0, 0.0]])
    predictions = predict(model, [lone], list(names))
    for block in predictions["y"].blocks():
        assert block.values.isfinite().all()
    # tensors have no direction to point to
    assert predictions["y"].block({"o3_lambda": 2}).values.abs().max() < 1e-12
    loss = sum(b.values.sum() for m in predictions.values() for b in m.blocks())
    loss.backward()
    for parameter in model.parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all()


def test_training_with_a_lone_atom_is_finite():
    frames = molecules(20)
    lone = ase.Atoms("O", [[0.0, 0.0, 0.0]], info=dict(frames[0].info))
    ase.io.write("with_lone_atom.xyz", [*frames, lone, lone, lone])
    options = write_options(
        systems="with_lone_atom.xyz",
        architecture__training__solve_heads=True,
        final_eval=True,
    )
    train_model(options)


def test_wrong_hypers_are_refused():
    for wrong, message in [
        ({"expansion": {"basis": {"max_anguler": 4}}}, "'max_anguler'"),
        ({"expansion": {"cutoff": {"radius": -1.0}}}, "greater than 0"),
        ({"expansion": {"basis": {"max_angular": 300}}}, "less than or equal to 20"),
        ({"species": {"num_channels": 10**6}}, "less than or equal to 4096"),
        ({"messages": {"max_rank": 9}}, "less than or equal to 4"),
        ({"network": {"num_neurons_per_layer": 10**6}}, "less than or equal to 4096"),
        ({"species": {"type": "both"}}, "'auto', 'orthogonal' or 'tensor_reduced'"),
    ]:
        with pytest.raises(MetatrainValidationError, match=message):
            train_model(write_options(architecture__model=wrong))


@pytest.mark.parametrize(
    "option, value",
    [
        ("per_structure_targets", ["z"]),
        ("atomic_baseline", {"z": 0.0}),
        ("fixed_scaling_weights", {"z": 1.0}),
    ],
)
def test_options_for_targets_that_do_not_exist(option, value):
    hypers = get_default_hypers("experimental.scalar_tensor")["training"]
    check_hypers(hypers, [], ["y"])
    with pytest.raises(ValueError, match=f"'training.{option}' has a target 'z'"):
        check_hypers({**hypers, option: value}, [], ["y"])


@pytest.mark.parametrize(
    "loss, message",
    [
        ("masked_mse", "write NaN for unknown values"),
        ({"y": {"type": "pointwise"}}, "'pointwise' is not possible"),
        ({"y": {"gradients": {"positions": {"weight": -1.0}}}}, "negative weight"),
        ({"y": {"reduction": "none"}}, "must be one number: mean or sum"),
    ],
)
def test_losses_that_can_not_be_used(loss, message):
    hypers = get_default_hypers("experimental.scalar_tensor")["training"]
    check_hypers({**hypers, "loss": {"y": {"type": "mae", "weight": 0.0}}}, [], ["y"])
    with pytest.raises(ValueError, match=message):
        check_hypers({**hypers, "loss": loss}, [], ["y"])
    with pytest.raises(ValueError, match="of 'y' must be positive, not 0.0"):
        check_hypers({**hypers, "fixed_scaling_weights": {"y": 0.0}}, [], ["y"])


def test_targets_whose_features_would_have_the_same_name():
    with pytest.raises(ValueError, match="'energy' and 'mtt::energy' can't be in one"):
        make_model({"energy": target(), "mtt::energy": target()})
    model = make_model({"energy": target()})
    with pytest.raises(ValueError, match="'energy' and 'mtt::energy' can't be in one"):
        model.restart(dataset_info({"mtt::energy": target()}))


def test_metric_that_is_not_computed():
    with pytest.raises(Exception, match="'mae_prod' needs 'log_mae: true'|mae_prod"):
        train_model(
            write_options(architecture__training={"best_model_metric": "mae_prod"})
        )


def test_checkpoint_of_another_version():
    model = make_model({"y": target()})
    for cls, key in ((ScalarTensor, "model"), (Trainer, "trainer")):
        checkpoint = {**model.get_checkpoint(), f"{key}_ckpt_version": 99}
        message = f"using {key} version 99, while the current {key} version is"
        with pytest.raises(RuntimeError, match=message):
            cls.upgrade_checkpoint(checkpoint)


def test_newer_checkpoint_is_left_alone(tmp_path):
    train_model(write_options())
    checkpoint = torch.load("model.ckpt", weights_only=False)
    checkpoint["model_ckpt_version"] = 99
    torch.save(checkpoint, "newer.ckpt")
    content = (tmp_path / "newer.ckpt").read_bytes()
    (tmp_path / "restarted").mkdir()
    with pytest.raises(Exception, match="does not contain a valid checkpoint"):
        train_model(
            write_options(), restart_from="newer.ckpt", checkpoint_dir="restarted"
        )
    assert (tmp_path / "newer.ckpt").read_bytes() == content


def test_restart_with_new_types():
    model = make_model({"y": target()}, atomic_types=[1, 6])
    info = make_model({"y": target()}, atomic_types=[1, 6, 79]).dataset_info
    with pytest.raises(ValueError, match=r"types \[79\] .*not know.*tensor_reduced"):
        model.restart(info)


def test_diverging_training_says_so(tmp_path):
    ase.io.write("data.xyz", molecules(20))
    options = write_options(
        systems="data.xyz",
        architecture__training={"learning_rate": 1e30, "grad_clip_norm": None},
    )
    with pytest.raises(Exception, match="lower 'learning_rate'"):
        train_model(options)
    assert list(tmp_path.glob("model_*.ckpt")) or not (tmp_path / "model.pt").exists()


def test_periodic_cells_smaller_than_the_cutoff_are_fine():
    model = make_model({"y": target()})
    assert predict(model, [crystal()], ["y"])["y"].block().values.isfinite().all()


def test_index_symmetry_of_nothing():
    targets = {"y": cartesian(2), "z": spherical((2, 1))}
    for symmetry, message in [
        ({"x": "ij=ji"}, r"target 'x', and there are only \['y', 'z'\]"),
        ({"z": "ij=ji"}, "'z' has no Cartesian indices"),
        ({"y": "ij=jk"}, "'ij=jk' does not say .* such as 'ij=ji'"),
        ({"y": "ijk=jik"}, "how 2 indices"),
    ]:
        with pytest.raises(ValueError, match=message):
            make_model(targets, index_symmetry=symmetry)


@pytest.mark.parametrize("pbc", [True, [True, False, True]])
def test_cutoffs_with_too_many_neighbors(pbc):
    frame = crystal()
    frame.pbc = pbc
    frame.cell[~frame.pbc] = 0.0
    check([torch.zeros(1, 3, 1)], [frame], cutoff=20.0)
    check([torch.zeros(1, 3, 1)], molecules(1), cutoff=1e6)
    with pytest.raises(
        ValueError, match=r"structure 0 .* \d\.\de\+\d+ GB: reduce 'radius'"
    ):
        check([torch.zeros(1, 3, 1)], [frame], cutoff=1e6)


def test_large_structures_have_not_too_many_neighbors():
    frame = crystal().repeat(16)
    assert len(frame) > 15_000
    check([torch.zeros(1, 3, 1)], [frame])
    frame.pbc, frame.cell[:] = False, 0.0
    check([torch.zeros(1, 3, 1)], [frame])


def test_data_without_their_symmetry():
    model = make_model({"y": cartesian(2, sample_kind="system")})
    symmetric = torch.eye(3).double().reshape(1, 3, 3, 1)
    other = symmetric.clone()
    other[0, 0, 1] = 0.1
    data = dataset(model, molecules(2), [symmetric, other])
    check_datasets([data], [data], model.dataset_info, {}, 5.0, Sources("."))
    with pytest.raises(ValueError, match="structure 1 .*not the symmetry 'ij=ji'.* 4%"):
        check_datasets(
            [data], [data], model.dataset_info, {"y": "ij=ji"}, 5.0, Sources(".")
        )


def test_data_with_a_trace_that_should_be_zero():
    model = make_model({"y": cartesian(2, sample_kind="system")})
    traceless = torch.diag(torch.tensor([1.0, 1.0, -2.0])).double()
    with_trace = torch.diag(torch.tensor([1.0, 1.0, -1.5])).double()
    data = dataset(
        model, molecules(2), [x.reshape(1, 3, 3, 1) for x in (traceless, with_trace)]
    )
    symmetry = {"y": "ij=ji traceless"}
    with pytest.raises(ValueError, match="structure 1 .*symmetry 'ij=ji traceless'"):
        check_datasets([data], [data], model.dataset_info, symmetry, 5.0, Sources("."))


def test_noise_in_small_tensors_is_no_lack_of_symmetry():
    """What is noise, the sizes of all tensors decide."""
    model = make_model({"y": cartesian(2, sample_kind="system")})
    noise = 1e-6 * torch.arange(9.0).double().reshape(1, 3, 3, 1)
    large = torch.eye(3).double().reshape(1, 3, 3, 1)
    for tensors in ([noise, large], [large, noise]):
        data = dataset(model, molecules(2), tensors)
        sources = Sources(".")
        check_datasets([data], [], model.dataset_info, {"y": "ij=ji"}, 5.0, sources)
    data = dataset(model, molecules(2), [noise, noise])
    with pytest.raises(ValueError, match="structure 0 .*not the symmetry 'ij=ji'"):
        check_datasets([data], [], model.dataset_info, {"y": "ij=ji"}, 5.0, sources)
