"""Errors of predicted Hamiltonians, of their orbitals, and their use as a guess.

::

    python evaluate.py model.pt fock_test.zip --picture errors.png

Method and basis set are those that the data file was made with. All numbers are means
over the structures. ``MAE`` is the mean absolute error, 1 µEh = 0.0272 meV.
"""

import argparse
import time
from collections import defaultdict
from typing import Any, Dict, List

import ase
import numpy as np
import torch
from dataset import read_description
from electronic import orbitals_of_atoms
from metatensor.torch import TensorMap
from metatomic.torch import (
    ModelEvaluationOptions,
    ModelOutput,
    System,
    load_atomistic_model,
)
from metatrain.utils.data import DiskDataset
from metatrain.utils.neighbor_lists import get_system_with_neighbor_lists
from scores import (
    Scores,
    eigenstates,
    of_elements,
    of_orbitals,
    of_self_consistency,
    of_states,
)
from sources import Source, source_of
from tqdm import tqdm

from metatrain_scalar_tensor.hamiltonian import HOME, Matrices, to_matrices


ONSITE, OFFSITE = "mtt::fock_onsite", "mtt::fock_offsite"
OVERLAP = "mtt::overlap_onsite", "mtt::overlap_offsite"
OUTPUTS = {
    ONSITE: ModelOutput(sample_kind="atom"),
    OFFSITE: ModelOutput(sample_kind="atom_pair"),
}


def predict(
    model: torch.nn.Module,
    system: System,
    outputs: Dict[str, ModelOutput] = OUTPUTS,
) -> Dict[str, TensorMap]:
    """Targets of one structure, both by default, in eV and float64."""
    dtype = getattr(torch, model.capabilities().dtype)
    lists = model.requested_neighbor_lists()
    system = get_system_with_neighbor_lists(system.to(dtype), lists)
    options = ModelEvaluationOptions(length_unit="angstrom", outputs=outputs)
    # metatomic can't check the consistency of outputs of pairs
    with torch.no_grad():
        values = model([system], options, check_consistency=False)
    return {name: value.to(torch.float64) for name, value in values.items()}


def with_reference(matrices: Matrices, source: Source, atoms: ase.Atoms) -> Matrices:
    """Add what was subtracted from the data."""
    reference = torch.as_tensor(source.reference(atoms)[HOME])
    return matrices | {HOME: matrices[HOME] + reference}


class Comparison:
    """Reference and prediction of one structure.

    :param model: exported model.
    :param sample: a structure of the data, with its matrices.
    :param source: what the data were made with.
    """

    def __init__(self, model: torch.nn.Module, sample: Any, source: Source) -> None:
        targets, system = sample._asdict(), sample.system
        types = system.types.tolist()
        self.source = source
        self.atoms = ase.Atoms(
            types, system.positions.numpy(), cell=system.cell.numpy(), pbc=system.pbc
        )
        matrices = to_matrices(targets[ONSITE], targets[OFFSITE], types)
        self.reference = with_reference(matrices, source, self.atoms)
        self.overlap = to_matrices(*(targets[name] for name in OVERLAP), types)
        start = time.perf_counter()
        values = predict(model, system)
        matrices = to_matrices(values[ONSITE], values[OFFSITE], types)
        sizes = {m[HOME].shape for m in (matrices, self.reference)}
        if len(sizes) > 1:
            raise ValueError(
                f"the model predicts matrices of shape {tuple(matrices[HOME].shape)}, "
                f"and those of the data have {tuple(self.reference[HOME].shape)}: it "
                "was trained with another basis"
            )
        self.predicted = with_reference(matrices, source, self.atoms)
        self.seconds = time.perf_counter() - start

    def scores(self) -> Scores:
        """All errors; those of orbitals and of self-consistency for molecules."""
        irreps = self.source.irreps(self.atoms)
        electrons = self.source.electrons(self.atoms)
        states, found = (
            eigenstates(matrices, self.overlap, self.source.kpoints())
            for matrices in (self.reference, self.predicted)
        )
        scores = of_elements(self.reference, self.predicted, self.atoms, irreps)
        scores |= of_states(states, found, electrons)
        if not self.atoms.pbc.any():
            occupied, guess = (s[0][1][:, : electrons // 2] for s in (states, found))
            scores |= of_orbitals(occupied, guess, self.overlap[HOME].numpy())
            scores |= of_self_consistency(guess, self.atoms, self.source)
        return scores | {"prediction of the matrix (ms)": 1000 * self.seconds}

    def draw(self, path: str) -> None:
        """Picture of the matrix of the home cell and of its error."""
        from picture import draw

        matrix, predicted = (m[HOME].numpy() for m in (self.reference, self.predicted))
        sizes = orbitals_of_atoms(self.atoms, self.source.irreps(self.atoms))
        draw(path, self.atoms, sizes, matrix, predicted - matrix)


def main() -> None:
    """Print the means over the structures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="exported model, .pt")
    parser.add_argument("data", help="file of make_data.py, .zip")
    parser.add_argument("--number", type=int, help="of structures; all by default")
    parser.add_argument(
        "--picture", help="of the first matrix and its error: file to write, .png"
    )
    arguments = parser.parse_args()

    model = load_atomistic_model(arguments.model)
    source = source_of(read_description(arguments.data))
    data = DiskDataset(arguments.data)
    number = min(arguments.number or len(data), len(data))
    for _ in range(3):  # TorchScript compiles at the first calls
        predict(model, data[0].system)
    collected: Dict[str, List[float]] = defaultdict(list)
    for i in tqdm(range(number), disable=None):
        comparison = Comparison(model, data[i], source)
        if i == 0 and arguments.picture:
            comparison.draw(arguments.picture)
        for name, score in comparison.scores().items():
            collected[name].append(score)
    print(f"{number} structures of {arguments.data}")
    for name, values in collected.items():
        print(f"{name:40s} {np.mean(values):10.4f}")


if __name__ == "__main__":
    main()
