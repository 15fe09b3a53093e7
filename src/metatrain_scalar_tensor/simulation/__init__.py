"""Exported models in simulations: what ASE asks for, derivatives, spectra.

Everything here takes any exported model of metatomic, not only those of this package.
"""

from .calculator import TensorCalculator
from .derivatives import polar_tensors, raman_tensors


__all__ = ["TensorCalculator", "polar_tensors", "raman_tensors"]
