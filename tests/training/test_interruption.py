"""Training that is interrupted, and checkpoints that can't be written or read."""

import re
import resource
import signal
import threading

import pytest
import torch
from metatrain.cli.export import export_model
from metatrain.cli.train import train_model
from metatrain.utils.io import load_model
from omegaconf import OmegaConf

from helpers import assert_same
from options import write_options
from processes import TIMEOUT, start_training


FILE_SIZE = 30_000  # bytes: enough for logs and options, not for a checkpoint


def finish(process):
    output = process.communicate(timeout=TIMEOUT)[0]
    assert process.returncode == 0, output
    return output


def interrupt(process, epoch, number):
    """Send a signal as soon as the log tells of an epoch."""
    watchdog = threading.Timer(TIMEOUT, process.kill)
    watchdog.start()
    log = []
    for line in process.stdout:
        log.append(line)
        if re.search(rf"Epoch:? +{epoch}\b", line):
            process.send_signal(number)
            break
    log.append(process.communicate()[0])
    watchdog.cancel()
    assert process.returncode == -number, "".join(log)


def models_in(folder):
    """Files of models, also unfinished ones."""
    return {*folder.rglob("model*.ckpt*"), *folder.rglob("*.pt")}


def checkpoint_of(folder):
    return torch.load(folder / "model.ckpt", weights_only=False)


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory):
    """A folder with options of many short epochs, every second with a checkpoint."""
    training = {
        "num_epochs": 16,
        "checkpoint_interval": 2,
        "log_interval": 1,
        "ema_decay": 0.9,
        "solve_heads": True,
    }
    options = write_options(architecture__training=training)

    def make(name):
        folder = tmp_path_factory.mktemp(name)
        OmegaConf.save(options, folder / "options.yaml")
        return folder

    return make


@pytest.fixture(scope="module")
def whole(folder_of):
    """The folder of a run that was not interrupted."""
    folder = folder_of("whole")
    finish(start_training(folder))
    return folder


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_interrupted_training_reaches_the_same_result(number, whole, folder_of):
    """To the last bit, from the latest checkpoint, which is not that of the epoch."""
    folder = folder_of(number.name)
    interrupt(start_training(folder), 7, number)
    assert not (folder / "model.ckpt").exists()
    [run] = folder.glob("outputs/*/*")
    assert (run / "model_6.ckpt").exists() and not (run / "model_7.ckpt").exists()
    # as if it had been killed while it wrote the next one
    (run / "model_8.ckpt.unfinished").write_bytes(b"PK")

    log = finish(start_training(folder, "--restart", "auto"))
    assert re.search(r"Restarting training from 'outputs/.*/model_\d+.ckpt'", log)
    first, second = checkpoint_of(whole), checkpoint_of(folder)
    assert first["epoch"] == second["epoch"] == 15
    for key in first:
        if key.endswith(("state_dict", "state", "epoch", "metric", "seed")):
            assert_same(first[key], second[key], key)


def test_full_disk(whole):
    """The error says what to do, and the last good checkpoint survives."""
    [checkpoint] = whole.glob("outputs/*/*/model_14.ckpt")
    content = checkpoint.read_bytes()
    assert len(content) > FILE_SIZE

    def limit_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_SIZE, FILE_SIZE))

    before = models_in(whole)
    process = start_training(
        whole, "--restart", str(checkpoint), preexec_fn=limit_files
    )
    output = process.communicate(timeout=TIMEOUT)[0]
    assert process.returncode == 1
    assert "could not be written" in output, output
    assert "--restart auto" in output
    assert models_in(whole) == before
    assert checkpoint.read_bytes() == content


CORRUPTED = "checkpoint file is corrupted"
BROKEN = {
    "truncated": (lambda content: content[: len(content) // 2], CORRUPTED),
    # for a restart torch says less of these
    "empty": (lambda content: b"", f"{CORRUPTED}|EOFError: Ran out of input"),
    "overwritten": (
        lambda content: bytes(len(content)),
        f"{CORRUPTED}|'storages' not found",
    ),
}


# torch takes zeros for an empty archive, of which Python 3.12 and 3.13 warn
@pytest.mark.filterwarnings("ignore:Python 3.14 will:DeprecationWarning")
@pytest.mark.parametrize("damage, message", BROKEN.values(), ids=BROKEN)
def test_broken_checkpoint(damage, message, whole, tmp_path, monkeypatch):
    """Nothing goes on from it, and nothing is written over it or beside it.

    The errors are torch's and metatrain's: they read the file.
    """
    monkeypatch.chdir(tmp_path)
    content = damage((whole / "model.ckpt").read_bytes())
    broken = tmp_path / "broken.ckpt"
    broken.write_bytes(content)
    for read in (
        lambda: train_model(write_options(), restart_from=broken),
        lambda: export_model(broken, "exported.pt"),
        lambda: load_model(broken),
    ):
        with pytest.raises(Exception, match=message):
            read()
    assert broken.read_bytes() == content
    assert not list(tmp_path.glob("*.pt"))
