"""Exported models in simulations: what ASE asks for, derivatives, spectra.

Everything here takes any exported model of metatomic, not only those of this package.
:mod:`.tensors` reads dipoles and polarizabilities from the outputs of a model,
:mod:`.calculator` serves them to ASE, :mod:`.derivatives` differentiates them,
:mod:`.trajectory` makes the spectra of trajectories, with the formulas of
:mod:`.spectra`.
"""

from .calculator import TensorCalculator
from .derivatives import polar_tensors, raman_tensors


__all__ = ["TensorCalculator", "polar_tensors", "raman_tensors"]
