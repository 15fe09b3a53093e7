r"""Dipoles and polarizabilities of an exported model, as Cartesian tensors.

Models state the unit of their outputs, and lay them out in Cartesian or in spherical
components. Here, dipoles are in e Å, and polarizabilities are volumes in Å³,
:math:`\alpha / 4 \pi \epsilon_0`.
"""

from pathlib import Path
from typing import Dict, List, Sequence, Tuple, Union

import metatensor.torch as mts
import torch
from ase.units import Bohr, Hartree
from metatensor.torch import TensorMap
from metatomic.torch import (
    AtomisticModel,
    ModelOutput,
    load_atomistic_model,
    unit_conversion_factor,
)

from ..o3 import cartesian_irreps


Names = Union[str, Sequence[str]]

VOLUME = Hartree * Bohr
"""e²/(4πε₀) in eV Å: a polarizability of 1 e² Å²/eV has this volume in Å³."""


def load_exported(path: Union[str, Path]) -> AtomisticModel:
    """Load an exported model.

    :param path: its file.
    :raises OSError: if there is no such file.
    :raises ValueError: if it is something else.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no model '{path}'")
    try:
        return load_atomistic_model(path)
    except Exception as error:  # torch's, of many kinds
        raise ValueError(
            f"'{path}' can't be read as an exported model: give the file ending in .pt "
            f"that 'mtt train' or 'mtt export' wrote. The error was: {error}"
        ) from error


class TensorOutput:
    """One tensor, from one or several outputs of a model.

    Polarizabilities may have an output for each of their irreps, since an extended XYZ
    file contains one irrep per target.

    :param model: an exported model.
    :param names: names of the outputs.
    :param what: ``dipole`` or ``polarizability``.
    :raises ValueError: if the model has no such output, or does not state a unit that
        fits.
    """

    def __init__(self, model: AtomisticModel, names: Names, what: str) -> None:
        self.rank = {"dipole": 1, "polarizability": 2}[what]
        self.what = what
        self.factors: Dict[str, float] = {}
        outputs = model.capabilities().outputs
        for name in [names] if isinstance(names, str) else names:
            if name not in outputs:
                raise ValueError(
                    f"the model has no output '{name}' for the {what}: its outputs are "
                    + ", ".join(sorted(outputs))
                )
            self.factors[name] = conversion_factor(name, outputs[name].unit, what)

    def request(self, sample_kind: str = "system") -> Dict[str, ModelOutput]:
        """What to ask the model for.

        :param sample_kind: ``system``, or ``atom`` for the contributions of the atoms.
        """
        return {name: ModelOutput(sample_kind=sample_kind) for name in self.factors}

    def read(self, outputs: Dict[str, TensorMap]) -> torch.Tensor:
        """The tensors of all samples in ascending order, differentiable.

        :param outputs: of the model, with :meth:`request`.
        :return: ``(samples, 3)`` or ``(samples, 3, 3)``, in e Å or Å³.
        :raises ValueError: if the layout is not that of the tensor.
        """
        irreps: Dict[Tuple[int, int], torch.Tensor] = {}
        for name, factor in self.factors.items():
            for key, block in mts.sort(outputs[name], axes="samples").items():
                values = factor * block.values.double()
                if values.shape[-1] != 1:
                    raise self._unexpected(f"{values.shape[-1]} properties of '{name}'")
                values = values.squeeze(-1)
                if "o3_lambda" in key.names:
                    irreps[int(key["o3_lambda"]), int(key["o3_sigma"])] = values
                elif values.shape[1:] == (3,) * self.rank:
                    return values
                else:
                    raise self._unexpected(f"shape {tuple(values.shape)} of '{name}'")
        return self._from_irreps(irreps)

    def _from_irreps(self, found: Dict[Tuple[int, int], torch.Tensor]) -> torch.Tensor:
        """Cartesian tensors from irreps of the same norm, ``(samples, 2λ + 1)``.

        This is the normalisation of metatomic and featomic. The sign of λ = 0, which is
        the trace in the first and minus the trace in the second, follows from
        polarizabilities being positive.
        """
        irreps, matrix = cartesian_irreps(self.rank)
        needed = {irrep for irrep in irreps if irrep.o3_sigma == 1}
        if not needed <= found.keys() <= set(irreps):
            raise self._unexpected(f"irreps {sorted(found)}")
        rows = torch.split(matrix, [2 * l + 1 for l, _ in irreps])
        total: List[torch.Tensor] = []
        for irrep, change in zip(irreps, rows):
            if irrep in found:
                values = found[irrep]
                tensors = torch.tensordot(values, change.to(values), dims=1)
                if irrep.o3_lambda == 0 and tensors.diagonal(0, 1, 2).sum() < 0:
                    tensors = -tensors
                total.append(tensors)
        return torch.stack(total).sum(0)

    def _unexpected(self, found: str) -> ValueError:
        expected = {
            "dipole": "a vector, as three Cartesian components or as (λ, σ) = (1, 1)",
            "polarizability": "a matrix, as 3 x 3 Cartesian components or as the "
            "irreps (0, 1) and (2, 1), of one output or of several",
        }
        return ValueError(f"a {self.what} is {expected[self.what]}, and not {found}")


def conversion_factor(name: str, unit: str, what: str) -> float:
    """From the unit of an output to e Å or Å³.

    :param name: of the output, for the error.
    :param unit: its unit, as metatomic writes units.
    :param what: ``dipole`` or ``polarizability``.
    :raises ValueError: if the unit is empty or that of another quantity.
    """
    units = {
        "dipole": {"e*A": 1.0},
        "polarizability": {"A^3": 1.0, "e^2*A^2/eV": VOLUME},
    }
    for known, factor in units[what].items():
        try:
            # metatomic converts no unit to any other with a factor of one
            if unit:
                return factor * unit_conversion_factor(unit, known)
        except ValueError:
            continue
    raise ValueError(
        f"the model states the unit '{unit}' for '{name}', and a {what} has one like "
        + " or ".join(f"'{known}'" for known in units[what])
        + ": give the target the unit of its data in the options of the training"
    )
