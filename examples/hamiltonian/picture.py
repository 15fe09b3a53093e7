"""A picture of a matrix and of the error of its prediction."""

from typing import List

import ase
import matplotlib.pyplot as plt
import numpy as np
from ase.units import Hartree
from matplotlib.colors import LogNorm


def draw(
    path: str,
    atoms: ase.Atoms,
    sizes: List[int],
    matrix: np.ndarray,
    error: np.ndarray,
) -> None:
    """Draw absolute values on logarithmic scales, with lines between the atoms.

    :param path: file to write, .png
    :param atoms: the structure.
    :param sizes: number of orbitals of every atom.
    :param matrix: reference in eV, ``(orbitals, orbitals)``
    :param error: of the prediction in eV, ``(orbitals, orbitals)``
    """
    figure, axes = plt.subplots(1, 2, figsize=(10, 4.4), layout="constrained")
    ends = np.cumsum(sizes)
    centers = ends - np.array(sizes) / 2
    titles = "matrix (Eh)", "error (µEh)"
    for axis, title, values in zip(axes, titles, (matrix, 1e6 * error)):
        values = np.abs(values) / Hartree
        shown = values[values > 0]
        scale = LogNorm(np.quantile(shown, 0.05), shown.max())
        image = axis.imshow(values.clip(scale.vmin), norm=scale)
        figure.colorbar(image, ax=axis)
        axis.set_title(f"{title}, mean {values.mean():.2g}")
        axis.set_xticks(centers - 0.5, atoms.symbols)
        axis.set_yticks(centers - 0.5, atoms.symbols)
        axis.tick_params(length=0)
        for end in ends[:-1]:
            axis.axhline(end - 0.5, color="white", linewidth=0.8)
            axis.axvline(end - 0.5, color="white", linewidth=0.8)
    figure.savefig(path, dpi=150)
