"""How good a predicted Hamiltonian is: elements, levels, orbitals, self-consistency.

Hamiltonians are in eV and this package's order of orbitals, errors in µEh.
"""

import time
from typing import Dict, List, Sequence, Tuple

import ase
import numpy as np
import torch
from ase.units import Hartree
from electronic import Irreps, Method, orbitals_of_atoms
from scipy.linalg import eigh

from metatrain_scalar_tensor.hamiltonian import HOME, Matrices, bloch, orbital_order


MICROHARTREE = 1e-6 * Hartree  # eV
Scores = Dict[str, float]
States = List[Tuple[np.ndarray, np.ndarray]]


def of_elements(
    reference: Matrices, predicted: Matrices, atoms: ase.Atoms, irreps: Irreps
) -> Scores:
    """Mean absolute errors: of all elements, in an atom, and between two atoms.

    :param reference: matrices of all cell shifts; predictions that lack one are zero.
    :param predicted: likewise.
    :param atoms: the structure.
    :param irreps: orbitals of its types.
    """
    sizes = torch.tensor(orbitals_of_atoms(atoms, irreps))
    atom = torch.arange(len(atoms)).repeat_interleave(sizes)
    same = atom[:, None] == atom  # (orbitals, orbitals)
    errors, in_atom = [], []
    for shift, matrix in reference.items():
        found = predicted.get(shift, torch.zeros_like(matrix))
        errors.append((found - matrix).abs() / MICROHARTREE)
        in_atom.append(same & (shift == HOME))
    error, of_atoms = torch.stack(errors), torch.stack(in_atom)
    return {
        "matrix elements, MAE (µEh)": float(error.mean()),
        "  in the blocks of atoms": float(error[of_atoms].mean()),
        "  in the blocks of pairs": float(error[~of_atoms].mean()),
    }


def eigenstates(
    hamiltonian: Matrices, overlap: Matrices, kpoints: Sequence[Sequence[float]]
) -> States:
    r"""Energies and orbitals, :math:`H(k) C = S(k) C \epsilon`.

    :param hamiltonian: of all cell shifts.
    :param overlap: likewise.
    :param kpoints: in units of the reciprocal cell vectors.
    :return: ``(orbitals,)`` in eV and ``(orbitals, orbitals)``, for every k-point.
    """
    states = []
    for k in kpoints:
        h, s = (bloch(matrices, k).numpy() for matrices in (hamiltonian, overlap))
        states.append(eigh(h, s) if any(k) else eigh(h.real, s.real))
    return states


def of_states(reference: States, predicted: States, electrons: int) -> Scores:
    """Occupied levels and the gap, as a mean over the k-points.

    :param reference: from :func:`eigenstates`.
    :param predicted: likewise.
    :param electrons: their number; two share an orbital, at all k-points alike.
    """
    occupied = electrons // 2
    levels = np.array([[e for e, _ in states] for states in (reference, predicted)])
    errors = np.abs(levels[1] - levels[0]) / MICROHARTREE  # (k-points, orbitals)
    gaps = np.full(2, np.nan)  # without a virtual orbital
    if levels.shape[2] > occupied:
        gaps = levels[:, :, occupied].min(1) - levels[:, :, occupied - 1].max(1)
    return {
        "occupied levels, MAE (µEh)": errors[:, :occupied].mean(),
        "HOMO-LUMO gap, MAE (µEh)": abs(gaps[1] - gaps[0]) / MICROHARTREE,
    }


def of_orbitals(
    reference: np.ndarray, predicted: np.ndarray, overlap: np.ndarray
) -> Scores:
    r"""Mean :math:`|c_\mathrm{ref}^T S c|` of orbitals with the same rank in energy.

    :param reference: occupied orbitals, ``(orbitals, occupied)``
    :param predicted: likewise.
    :param overlap: ``(orbitals, orbitals)``
    """
    cosines = np.einsum("am,ab,bm->m", reference, overlap, predicted)
    return {"occupied orbitals, mean cosine": np.abs(cosines).mean()}


def of_self_consistency(
    orbitals: np.ndarray, atoms: ase.Atoms, method: Method
) -> Scores:
    """What the density of the predicted matrix is worth for the method itself.

    Its energy takes one Fock matrix; the error is of second order in the density. It is
    relative to the lower of the two energies that PySCF reaches, from the prediction
    and from its own guess, if both converge.

    :param orbitals: occupied ones, ``(orbitals, occupied)``
    :param atoms: the molecule.
    :param method: the method of the data.
    """
    state, from_scratch = method.state(atoms), method.state(atoms)
    back = np.argsort(orbital_order(state.mol))
    density = 2 * (orbitals @ orbitals.T)[np.ix_(back, back)]
    energy = state.energy_tot(dm=density)
    state.conv_tol = from_scratch.conv_tol = 1e-9  # Hartree, PySCF's default
    state.kernel(dm0=density)
    from_scratch.kernel()
    converged = min(
        (s.e_tot for s in (state, from_scratch) if s.converged), default=np.nan
    )
    start = time.perf_counter()
    state.eig(state.get_fock(dm=density), state.get_ovlp())
    seconds = time.perf_counter() - start
    return {
        "total energy of the density, MAE (µEh)": abs(energy - converged) * 1e6,
        "SCF iterations from the prediction": state.cycles,
        "SCF iterations from PySCF's guess": from_scratch.cycles,
        "SCF iterations saved": from_scratch.cycles - state.cycles,
        "one SCF iteration (ms)": 1000 * seconds,
    }
