"""Harmonic infrared and Raman spectra of a model, beside those of PySCF.

::

    python examples/quickstart/spectra.py molecules.pt -o molecules-spectra.png

The model relaxes each molecule, and its forces, dipole and polarizability around that
geometry give wavenumbers and intensities. Nothing of PySCF's spectra is in the data
that the model was fitted to.
"""

import argparse
import json
from pathlib import Path
from typing import Dict, Tuple

import ase.build
import matplotlib
import numpy as np
from ase.optimize import BFGS
from metatomic.torch import ModelOutput
from metatomic_ase import MetatomicCalculator
from vibrations import Response, derivatives, intensities, normal_modes


matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402


REFERENCE = Path(__file__).resolve().parents[2] / "data" / "molecules_vibrations.json"
WIDTH = (
    12.0  # 1/cm, of the Lorentzian lines of the picture: half of that at half height
)
UNITS = {"wavenumber": "1/cm", "infrared": "km/mol", "raman": "Å⁴/amu"}

Lines = Dict[str, np.ndarray]  # by the names of UNITS, (modes,)


def response_of(calculator: MetatomicCalculator) -> Response:
    """Forces, dipole and polarizability of a model."""
    names = ["mtt::mu", "mtt::alpha"]
    requests = {name: ModelOutput(sample_kind="system") for name in names}

    def response(atoms: ase.Atoms) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
        outputs = calculator.run_model(atoms, requests)
        tensors = [outputs[name].block().values[0, ..., 0].numpy() for name in names]
        return calculator.get_forces(atoms), *tensors

    return response


def lines_of(calculator: MetatomicCalculator, name: str) -> Lines:
    """The lines of a molecule of ASE, in the minimum of the model's energy."""
    atoms = ase.build.molecule(name)
    atoms.calc = calculator
    BFGS(atoms, logfile=None).run(fmax=1e-3, steps=200)
    forces, *tensors = derivatives(atoms, response_of(calculator))
    return intensities(normal_modes(atoms, forces), *tensors)


def broadened(lines: Lines, kind: str, axis: np.ndarray) -> np.ndarray:
    """A spectrum of Lorentzian lines, whose integrals are the intensities."""
    distance = axis[:, None] - lines["wavenumber"]
    return (lines[kind] * WIDTH / np.pi / (distance**2 + WIDTH**2)).sum(1)


def table(name: str, reference: Lines, model: Lines) -> str:
    """Wavenumbers and intensities of both, a line for each vibration."""
    text = ""
    for i in range(len(reference["wavenumber"])):
        cells = [
            f"{lines[kind][i]:9.1f}" for kind in UNITS for lines in (reference, model)
        ]
        text += f"{name:6s}" + "".join(cells) + "\n"
    return text


def plot(references: Dict[str, Lines], models: Dict[str, Lines], path: str) -> None:
    """Draw both spectra of all molecules."""
    axis = np.linspace(800, 4200, 3401)
    figure, panels = plt.subplots(
        len(models), 2, figsize=(9, 5.5), sharex=True, layout="constrained"
    )
    for row, name in zip(panels, models):
        for panel, kind in zip(row, ("infrared", "raman")):
            reference = broadened(references[name], kind, axis)
            panel.fill_between(axis, reference, color="0.8", label="PySCF")
            model = broadened(models[name], kind, axis)
            panel.plot(axis, model, color="C1", lw=1.2, label="model")
            panel.set(ylim=(0, None), xlim=(axis[0], axis[-1]), yticks=[])
        row[0].set_ylabel("".join(f"$_{c}$" if c.isdigit() else c for c in name))
    panels[0, 0].set_title("infrared")
    panels[0, 1].set_title("Raman")
    panels[0, 0].legend(frameon=False)
    figure.supxlabel("wavenumber (1/cm)", fontsize="medium")
    figure.savefig(path, dpi=150)


def main() -> None:
    """Print the table and draw the spectra."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="exported model")
    parser.add_argument("-o", "--output", default="molecules-spectra.png")
    arguments = parser.parse_args()

    # Without the stress, which would be divided by no volume
    calculator = MetatomicCalculator(arguments.model, do_gradients_with_energy=False)
    harmonic = json.loads(REFERENCE.read_text())
    references = {
        name: {kind: np.array(values) for kind, values in lines.items()}
        for name, lines in harmonic.items()
    }
    models = {name: lines_of(calculator, name) for name in references}

    headers = [f"{kind} ({unit})" for kind, unit in UNITS.items()]
    print(" " * 6 + "".join(f"{header:>18s}" for header in headers))
    print(" " * 6 + "    PySCF    model" * len(UNITS))
    for name in references:
        print(table(name, references[name], models[name]), end="")
    plot(references, models, arguments.output)


if __name__ == "__main__":
    main()
