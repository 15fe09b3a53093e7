"""Errors of predicted Fock matrices, of their orbitals, and their use as a guess.

::

    python evaluate.py model.pt fock_test.zip --basis sto-3g --number 20

Molecules: errors of matrix elements and of occupied orbital energies, similarity of
occupied orbitals to the reference, and number of iterations of PySCF from the density
of the predicted matrix beside its default guess. Crystals have orthogonal orbitals and
four electrons per atom here: errors of matrix elements and of all occupied bands.
"""

import argparse
import itertools
import time
from collections import defaultdict
from typing import Any, Dict, List

import numpy as np
import torch
from metatensor.torch import TensorMap
from metatomic.torch import (
    ModelEvaluationOptions,
    ModelOutput,
    System,
    load_atomistic_model,
)
from metatrain.utils.data import DiskDataset
from metatrain.utils.neighbor_lists import get_system_with_neighbor_lists
from scipy.linalg import eigh

from metatrain_scalar_tensor.hamiltonian import (
    HOME,
    Matrices,
    bloch,
    orbital_order,
    to_matrices,
)


ONSITE, OFFSITE = "mtt::fock_onsite", "mtt::fock_offsite"
OUTPUTS = {
    ONSITE: ModelOutput(sample_kind="atom"),
    OFFSITE: ModelOutput(sample_kind="atom_pair"),
}
K_POINTS = list(itertools.product([0.0, 0.25, 0.5], [0.0, 0.25, 0.5], [0.0]))
Errors = Dict[str, float]


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


def element_error(reference: Matrices, predicted: Matrices) -> float:
    """Mean absolute error of the elements in meV, of all cells of the reference."""
    errors = [
        (predicted.get(shift, torch.zeros_like(matrix)) - matrix).abs()
        for shift, matrix in reference.items()
    ]
    return 1000 * float(torch.cat(errors).mean())


def of_crystal(system: System, reference: Matrices, predicted: Matrices) -> Errors:
    """Bands with orthogonal orbitals, of which half are occupied in pairs."""
    occupied = 2 * len(system)
    bands = [
        [torch.linalg.eigvalsh(bloch(m, k))[:occupied] for k in K_POINTS]
        for m in (reference, predicted)
    ]
    difference = torch.stack(bands[0]) - torch.stack(bands[1])
    return {"occupied bands, MAE (meV)": 1000 * float(difference.abs().mean())}


def of_molecule(
    system: System, reference: np.ndarray, predicted: np.ndarray, basis_set: str
) -> Errors:
    """Occupied orbitals, and iterations to self-consistency.

    :param system: the molecule.
    :param reference: in eV and our order of orbitals, ``(orbitals, orbitals)``
    :param predicted: likewise.
    :param basis_set: PySCF's name of it.
    """
    from pyscf import gto, scf

    positions = system.positions.tolist()
    atoms = list(zip(system.types.tolist(), positions))
    mol = gto.M(atom=atoms, basis=basis_set, verbose=0)
    occupied = mol.nelectron // 2
    order = orbital_order(mol)
    overlap = mol.intor("int1e_ovlp")[np.ix_(order, order)]
    energies, orbitals = eigh(reference, overlap)
    found_energies, found = eigh(predicted, overlap)
    cosines = np.einsum("am,ab,bm->m", orbitals, overlap, found)[:occupied]

    density = 2 * found[:, :occupied] @ found[:, :occupied].T
    back = np.argsort(order)
    density = density[np.ix_(back, back)]
    cycles = []
    for guess in (density, None):
        mean_field = scf.RHF(mol)
        mean_field.kernel(dm0=guess)
        cycles.append(mean_field.cycles)
    start = time.perf_counter()
    mean_field.eig(mean_field.get_fock(dm=density), mean_field.get_ovlp())
    seconds = time.perf_counter() - start
    difference = np.abs(energies - found_energies)[:occupied]
    return {
        "occupied orbital energies, MAE (meV)": 1000 * difference.mean(),
        "occupied orbitals, mean cosine": np.abs(cosines).mean(),
        "SCF iterations from the prediction": cycles[0],
        "SCF iterations from PySCF's guess": cycles[1],
        "one SCF iteration (ms)": 1000 * seconds,
    }


def errors_of(model: torch.nn.Module, sample: Any, basis_set: str) -> Errors:
    """All errors of one structure of the data."""
    system, targets = sample.system, sample._asdict()
    types = system.types.tolist()
    reference = to_matrices(targets[ONSITE], targets[OFFSITE], types)
    start = time.perf_counter()
    values = predict(model, system)
    predicted = to_matrices(values[ONSITE], values[OFFSITE], types)
    seconds = time.perf_counter() - start
    errors = {
        "matrix elements, MAE (meV)": element_error(reference, predicted),
        "prediction of the matrix (ms)": 1000 * seconds,
    }
    if bool(system.pbc.any()):
        return errors | of_crystal(system, reference, predicted)
    matrices = (m[HOME].numpy() for m in (reference, predicted))
    return errors | of_molecule(system, *matrices, basis_set)


def main() -> None:
    """Print the means over the structures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="exported model, .pt")
    parser.add_argument("data", help="file of make_data.py, .zip")
    parser.add_argument("--basis", default="sto-3g", help="that of the data")
    parser.add_argument("--number", type=int, help="of structures; all by default")
    arguments = parser.parse_args()

    model = load_atomistic_model(arguments.model)
    data = DiskDataset(arguments.data)
    number = min(arguments.number or len(data), len(data))
    errors: Dict[str, List[float]] = defaultdict(list)
    for _ in range(3):  # TorchScript compiles at the first calls
        predict(model, data[0].system)
    for i in range(number):
        for name, error in errors_of(model, data[i], arguments.basis).items():
            errors[name].append(error)
    print(f"{number} structures of {arguments.data}")
    for name, values in errors.items():
        print(f"{name:38s} {np.mean(values):10.4f}")


if __name__ == "__main__":
    main()
