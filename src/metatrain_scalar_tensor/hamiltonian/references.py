r"""A cheap Fock matrix, from which a model may learn the difference.

The superposition of the densities of free atoms, :math:`D_0`, gives a Fock matrix
:math:`F[D_0]` in one step, without self-consistency. It has the symmetry of the
converged one, and :math:`F - F[D_0]` is much smaller than :math:`F`. To learn it,
subtract the reference from the data, and add it to predictions, with :mod:`.matrices`::

    order = np.ix_(*2 * [orbital_order(mol)])
    difference = (mean_field.get_fock() - fock_of_atoms(mean_field))[order]
    targets = to_targets({(0, 0, 0): difference}, atomic_types(mol), atomic_basis(mol))
    ...  # training, and prediction of the targets
    difference = to_matrices(*targets, atomic_types(mol))[0, 0, 0]
    fock = difference + fock_of_atoms(mean_field)[order]
"""

from typing import Any

import numpy as np


def fock_of_atoms(mean_field: Any) -> np.ndarray:
    """The Fock matrix of the superposition of atomic densities.

    The density is PySCF's guess ``minao``: a minimal basis of atomic natural orbitals,
    with the occupations of free atoms, projected on the basis of the molecule.

    :param mean_field: PySCF's restricted mean field of a molecule, run or not.
    :return: ``(orbitals, orbitals)`` in Hartree and PySCF's order of orbitals, like
        ``mean_field.get_fock()``
    """
    density = mean_field.get_init_guess(mean_field.mol, "minao")
    return mean_field.get_fock(dm=density)
