"""README and documentation: their code, and how to run it in a short time."""

import re
import runpy
import shlex
import sys
import warnings
from pathlib import Path

import ase.io
import metatrain.__main__
from omegaconf import OmegaConf

import metatrain_scalar_tensor.command
from files import PROJECT


DOCS = PROJECT / "docs"
README = PROJECT / "README.md"
PAGES = [
    README,
    *sorted(p for p in DOCS.rglob("*.md") if "_build" not in p.parts),
]
OPTIONS = sorted((PROJECT / "options").glob("*.yaml"))

NUMBER = 80  # of structures in a training: a tenth are a batch for validation
SMALL_MODEL = {
    "expansion": {"basis": {"max_angular": 4, "radial": {"max_radial": 2}}},
    "network": {"num_neurons_per_layer": 8},
    "tensor_basis": {"num_channels": 2},
}


def name_of(path):
    return str(path.relative_to(PROJECT))


def text_of(page):
    """The text of a page, with what it includes."""

    def included(match):
        return (page.parent / match[1]).read_text()

    return re.sub(
        r"^```{include} (\S+)\n.*?^```", included, page.read_text(), flags=re.M | re.S
    )


def blocks(page, *languages):
    """Languages and contents of the code blocks of a page."""
    found = re.findall(r"^```(\w+)\n(.*?)^```", text_of(page), re.M | re.S)
    return [(name, code) for name, code in found if name in languages]


def lines_of(code):
    """The commands of a shell script."""
    lines = code.replace("\\\n", " ").splitlines()
    return [line for line in lines if shlex.split(line, comments=True)]


def commands(page):
    """The commands of all shell scripts on a page."""
    return [line for _, code in blocks(page, "bash") for line in lines_of(code)]


def arguments_of(page, program):
    """The words of all commands on a page that start with a program."""
    words = [shlex.split(line, comments=True) for line in commands(page)]
    return [line for line in words if line[0] == program]


def literal_includes(page):
    """The files that a page shows."""
    paths = re.findall(r"^```{literalinclude} (\S+)", text_of(page), re.M)
    return [(page.parent / path).resolve() for path in paths]


def shortened(path):
    """Options of a short training of a small model, otherwise those of a file."""
    options = OmegaConf.load(path)
    architecture = options.get("architecture", {})
    if architecture.get("name") == "experimental.scalar_tensor":
        if "finetune" not in architecture.training:
            model = architecture.get("model", {})
            architecture.model = OmegaConf.merge(model, SMALL_MODEL)
        training = architecture.training
        training.num_epochs = min(training.get("num_epochs", 1), 1)
        training.max_equations = 300
    return options


class Workplace:
    """A folder that looks like the repository, in which trainings are short.

    They are of small models on a few of the structures.

    :param folder: where to make it.
    """

    def __init__(self, folder):
        self.folder = folder
        self.done = []
        for name in ("data", "examples", "scripts"):
            (folder / name).symlink_to(PROJECT / name)
        (folder / "options").mkdir()
        for path in OPTIONS:
            options = shortened(path)
            data = options.get("training_set")
            if data is not None and data.systems.read_from.endswith(".xyz"):
                number = len(ase.io.read(PROJECT / data.systems.read_from, ":"))
                data.indices = list(range(min(NUMBER, number)))
            OmegaConf.save(options, folder / "options" / path.name)

    def run_command(self, line, monkeypatch):
        """Run a line of a shell in this process, unless that has been done already.

        Nothing is installed; of scripts, what they do with metatrain is run.
        """
        words = shlex.split(line, comments=True)
        program, *arguments = words
        if program.startswith("./"):
            for of_script in lines_of((PROJECT / program).read_text()):
                if of_script.startswith("mtt "):
                    self.run_command(of_script, monkeypatch)
            return
        if program == "pip":
            return
        if words in self.done:
            return
        if arguments[0].endswith("make_data.py"):
            arguments += ["--number", "20" if "fock_train.zip" in arguments else "2"]
        with monkeypatch.context() as patch:
            if arguments[:1] == ["train"]:
                path = self.folder / arguments[1]  # may be written by a program
                OmegaConf.save(shortened(path), path)
            if program == "mtt":
                patch.setattr(sys, "argv", [program, *arguments])
                metatrain.__main__.main()
            elif program == "scalar-tensor":
                metatrain_scalar_tensor.command.main(arguments)
            else:
                assert program == "python", f"what is '{program}'?"
                patch.setattr(sys, "argv", arguments)
                patch.syspath_prepend(Path(arguments[0]).parent)
                runpy.run_path(arguments[0], run_name="__main__")
        self.done.append(words)

    def run_page(self, page, monkeypatch):
        """Run everything on a page, in order."""
        for language, code in blocks(page, "bash", "python"):
            if language == "python":
                with warnings.catch_warnings():
                    # the new name of a function that older versions of ASE have not
                    warnings.filterwarnings("ignore", "Use thermalize_momenta")
                    exec(compile(code, name_of(page), "exec"), {"__name__": "__main__"})
            else:
                for line in lines_of(code):
                    self.run_command(line, monkeypatch)
