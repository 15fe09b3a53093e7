"""Files that are read must not run code.

A checkpoint is a pickle, and metatrain unpickles it: that is the only place. This
package gets its content, and reads no file by itself in a way that could run code.
"""

import ast
from pathlib import Path

import pytest
from omegaconf import OmegaConf

import metatrain_scalar_tensor
from processes import TIMEOUT, start_training


SOURCES = sorted(Path(metatrain_scalar_tensor.__file__).parent.rglob("*.py"))
MODULES = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve", "yaml"}
MODULES |= {"subprocess", "ctypes"}
BUILTINS = {"__import__", "compile", "eval", "exec"}
FUNCTIONS = {"torch.load", "torch.jit.load", "np.load", "os.system", "os.popen"}
METHODS = {"extractall", "load_module", "read_pickle"}


def violations(source):
    """What could run code that comes from a file, one description for each."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [alias.name for alias in node.names]
            if isinstance(node, ast.ImportFrom):
                names = [node.module or "", *(f"{node.module}.{n}" for n in names)]
            found += [n for n in names if n.split(".")[0] in MODULES or n in FUNCTIONS]
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name in BUILTINS | FUNCTIONS or name.split(".")[-1] in METHODS:
                found.append(name)
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_nothing_of_ours_unpickles_or_evaluates(path):
    assert violations(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from yaml import unsafe_load",
        "from torch import load",
        "torch.load(path, weights_only=False)",
        "x = [eval(text)]",
        "np.load(path, allow_pickle=True)",
    ],
)
def test_the_search_finds_them(source):
    assert len(violations(source)) > 0
    assert violations("model.eval(); checkpoint.get('x'); json.loads(text)") == []


TAG = "could not determine a constructor for the tag"


@pytest.mark.parametrize("tag", ["object/apply:os.system", "object/new:os.system"])
def test_options_do_not_run_code(tag, tmp_path, monkeypatch):
    """metatrain's reader refuses what is not plain data."""
    monkeypatch.chdir(tmp_path)
    text = f"seed: !!python/{tag} ['touch executed']\n"
    (tmp_path / "options.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(Exception, match=TAG):
        OmegaConf.load("options.yaml")
    if "apply" in tag:
        process = start_training(tmp_path)
        assert TAG in process.communicate(timeout=TIMEOUT)[0]
        assert process.returncode == 1
    assert not (tmp_path / "executed").exists()
