"""The example of infrared and Raman spectra."""

import sys

import pytest
from metatrain.cli.train import train_model

from documents import shortened
from files import PROJECT
from metatrain_scalar_tensor.command import main


EXAMPLE = PROJECT / "examples" / "water-spectra"


def test_example(tmp_path, monkeypatch, capsys):
    """All its steps, with little of everything and a cheaper method."""
    pytest.importorskip("pyscf")
    monkeypatch.syspath_prepend(EXAMPLE)
    # other examples have a module of this name, too
    monkeypatch.delitem(sys.modules, "make_data", raising=False)
    import compare
    import make_data
    import reference
    import simulate

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(reference, "FUNCTIONAL", "HF")
    monkeypatch.setattr(reference, "BASIS", "sto-3g")

    def run(module, *arguments):
        monkeypatch.setattr(sys, "argv", [module.__name__, *arguments])
        module.main()

    run(make_data, "--number", "10")
    train_model(shortened(EXAMPLE / "options.yaml"), output="model.pt")

    few = ["--molecules", "2", "--equilibration", "0.002", "--time", "0.1"]
    run(simulate, "model.pt", *few, "-o", "dynamics.traj")
    # the command of the script, line by line
    script = (EXAMPLE / "run.sh").read_text().replace("\\\n", " ")
    [command] = [line for line in script.splitlines() if "scalar-tensor" in line]
    command = command.replace("dynamics-${temperature}K", "dynamics")
    main(command.replace("$temperature", "300").split()[1:])
    run(compare, "dynamics.csv")
    assert "300 K" in capsys.readouterr().out
    assert (tmp_path / "spectra.png").exists()
