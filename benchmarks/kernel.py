r"""What limits the dipoles of QM7-X: the same structures by kernel ridge regression.

A model with as many weights as data, and with one solution that is the best, so that
neither the network nor its training can be what is missing: if it has the same errors,
the number of structures is. The kernel of two atoms of the same type is

.. math::
    K_{ij} = (p_i \cdot p_j)^\zeta \sum_c x_{i, c1} \otimes x_{j, c1}

with the normalised power spectrum and the l = 1 density of the model (λ-SOAP: Grisafi
et al., `PRL 120, 036002 (2018) <https://doi.org/10.1103/PhysRevLett.120.036002>`_),
summed over the atoms of both molecules. The second kernel adds :math:`(p_i \cdot
p_j)^\zeta \, r_i \otimes r_j` with positions relative to the center of the molecule:
charges that depend on the surroundings, which is neither local nor for periodic
structures (Veit et al., `JCP 153, 024113 (2020)
<https://doi.org/10.1063/5.0009106>`_). Exponent and
regularisation are those with the smallest test error: its best case.

::

    python benchmarks/kernel.py        # prints a table, in seconds
"""

import argparse
import itertools
from pathlib import Path
from typing import List

import numpy as np
import torch
from datasets import DATASETS, read, split
from metatomic.torch import System, systems_to_torch
from metatrain.utils.data import DatasetInfo
from metatrain.utils.data.target_info import get_generic_target_info
from metatrain.utils.neighbor_lists import (
    get_requested_neighbor_lists,
    get_system_with_neighbor_lists,
)
from water import model_hypers

from metatrain_scalar_tensor import ScalarTensor
from metatrain_scalar_tensor.report.errors import errors


DATA = Path(__file__).parent.parent / "data"
EXPONENTS = [1, 2, 4]
RIDGES = [1e-5, 1e-4, 1e-3, 1e-2, 1e-1]  # relative to the mean of the diagonal
TO_XYZ = [2, 0, 1]  # from the components (y, z, x) of l = 1


class Features:
    """What the kernels are made of, for all atoms of some structures.

    :param systems: the structures, without neighbor lists.
    :param model: the model that has density and invariants.
    """

    def __init__(self, systems: List[System], model: ScalarTensor) -> None:
        lists = get_requested_neighbor_lists(model)
        systems = [get_system_with_neighbor_lists(s, lists) for s in systems]
        structures = model.read(systems)
        self.type = structures.types  # (atoms,)
        model.calibrate([systems])
        density = model.model.look(structures).density
        self.vectors = density[1][:, TO_XYZ]  # (atoms, 3, channels)
        p = model.model.invariants(density)
        self.invariants = p / p.norm(dim=1, keepdim=True)
        centered = [s.positions - s.positions.mean(0) for s in systems]
        self.positions = torch.cat(centered).unsqueeze(2)  # (atoms, 3, 1)
        counts = torch.tensor([len(s) for s in systems])
        molecule = torch.repeat_interleave(counts)
        self.of_molecule = torch.nn.functional.one_hot(molecule).T.double()

    def kernel(self, vectors: torch.Tensor, exponent: int) -> np.ndarray:
        """Sum over the atoms of all pairs of molecules, of unit trace.

        :param vectors: what the coefficients multiply, ``(atoms, 3, channels)``
        :param exponent: the exponent ζ of the invariants.
        :return: ``(molecules, 3, molecules, 3)``
        """
        similarity = (self.invariants @ self.invariants.T) ** exponent
        similarity = similarity * (self.type.unsqueeze(1) == self.type)
        atoms = torch.einsum("imc,jnc,ij->imjn", vectors, vectors, similarity)
        summed = torch.einsum("ai,imjn->amjn", self.of_molecule, atoms)
        summed = torch.einsum("amjn,bj->ambn", summed, self.of_molecule)
        return (summed / torch.einsum("amam->", summed)).numpy()


def percent_of_seed(
    kernel: np.ndarray, dipoles: np.ndarray, size: int, num_test: int, seed: int
) -> np.ndarray:
    """Test error in % of the standard deviation, for every ridge: ``(ridges,)``."""
    data = split(list(range(len(dipoles))), size, num_test, seed)  # type: ignore[arg-type]
    train, test = np.array(data.training), np.array(data.test)
    k = kernel[train][:, :, train].reshape(3 * len(train), -1)
    of_test = kernel[test][:, :, train].reshape(3 * len(test), -1)
    percent = []
    for ridge in RIDGES:
        regularised = k + ridge * np.trace(k) / len(k) * np.eye(len(k))
        weights = np.linalg.solve(regularised, dipoles[train].reshape(-1))
        predicted = (of_test @ weights).reshape(-1, 3)
        percent.append(errors([(predicted, dipoles[test])]).percent)
    return np.array(percent)


def main() -> None:
    """Fit, test and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[18, 36, 72])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    arguments = parser.parse_args()
    dataset = DATASETS["qm7x"]
    frames = read(dataset, DATA)
    target = {
        "quantity": "",
        "unit": "",
        "type": {"cartesian": {"rank": 1}},
        "sample_kind": "system",
        "num_subtargets": 1,
    }
    info = DatasetInfo(
        "angstrom",
        sorted({int(z) for frame in frames for z in frame.numbers}),
        {"mtt::mu": get_generic_target_info("mtt::mu", target)},
    )
    model = ScalarTensor(model_hypers("scalar_tensor"), info).double()
    systems = [systems_to_torch(frame, dtype=torch.float64) for frame in frames]
    dipoles = np.array([frame.info["mu"] for frame in frames])
    with torch.no_grad():
        features = Features(systems, model)
    print("| structures | kernel | mu | ζ | ridge |")
    print("|---|---|---|---|---|")
    for size, name in itertools.product(arguments.sizes, ("λ-SOAP", "with charges")):
        results = {}
        for exponent in EXPONENTS:
            kernel = features.kernel(features.vectors, exponent)
            if name == "with charges":
                kernel = kernel + features.kernel(features.positions, exponent)
            of_seeds = [
                percent_of_seed(kernel, dipoles, size, dataset.num_test, seed)
                for seed in arguments.seeds
            ]
            for ridge, values in zip(RIDGES, np.transpose(of_seeds)):
                results[exponent, ridge] = values
        exponent, ridge = min(results, key=lambda k: results[k].mean())
        values = results[exponent, ridge]
        print(
            f"| {size} | {name} | {values.mean():.1f} ± {values.std(ddof=1):.1f} % "
            f"| {exponent} | {ridge:g} |"
        )


if __name__ == "__main__":
    main()
