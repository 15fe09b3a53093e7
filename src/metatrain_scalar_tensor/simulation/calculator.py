"""A calculator of ASE for energy, forces, stress, dipole and polarizability."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence, Union

import ase
import numpy as np
from ase.calculators.calculator import (
    Calculator,
    PropertyNotImplementedError,
    all_changes,
    equal,
)
from metatomic.torch import AtomisticModel

from .tensors import VOLUME, Names, TensorOutput, load_exported


if TYPE_CHECKING:
    from metatomic_ase import MetatomicCalculator

Model = Union[str, Path, AtomisticModel, "MetatomicCalculator"]


def metatomic_calculator(model: Model) -> "MetatomicCalculator":
    """Metatomic's own calculator for a model.

    :param model: file of an exported model, the model, or already a calculator.
    :raises ImportError: if metatomic-ase is not installed.
    :raises OSError: if there is no such file.
    :raises ValueError: if it is not an exported model.
    """
    try:
        from metatomic_ase import MetatomicCalculator
    except ImportError as error:
        raise ImportError(
            "ASE needs metatomic-ase for exported models: pip install metatomic-ase"
        ) from error
    if isinstance(model, MetatomicCalculator):
        return model
    if isinstance(model, (str, Path)):
        model = load_exported(model)
    # forces and stress when they are asked for: molecules have no volume, and no stress
    return MetatomicCalculator(model, do_gradients_with_energy=False)


class TensorCalculator(Calculator):
    """Energy, forces, stress, dipole and polarizability from one or two models.

    Results are in ASE's units: eV, Å, e Å for the dipole, and e² Å²/eV for the
    polarizability (times ``ase.units.Hartree * ase.units.Bohr``: a volume in Å³),
    whatever the units of the models. ``ase.vibrations.Infrared`` uses the dipole, and
    ``ase.vibrations.raman.StaticRamanCalculator`` the polarizability::

        atoms.calc = TensorCalculator("model.pt", dipole="mtt::mu")
        Infrared(atoms).run()

    :param potential: the model of the energy: an exported file, a model, or a
        ``MetatomicCalculator``, which has options for devices, variants and more.
    :param tensors: the model of the other properties, ``None`` if it is the same. A
        model without an energy may be given as ``potential``, for its tensors alone.
    :param dipole: name of the output that is the dipole, as ``mtt::mu``.
    :param polarizability: the same for the polarizability; or several names, one for
        each of its irreps.
    :raises ImportError: if metatomic-ase is not installed.
    :raises OSError: if there is no such file.
    :raises ValueError: if a file is not an exported model, or if the model has no such
        output, or its unit is not that of the property.
    """

    def __init__(
        self,
        potential: Model,
        tensors: Optional[Model] = None,
        *,
        dipole: Optional[Names] = None,
        polarizability: Optional[Names] = None,
    ) -> None:
        super().__init__()
        self.potential = metatomic_calculator(potential)
        self.tensors = self.potential
        if tensors is not None:
            self.tensors = metatomic_calculator(tensors)
        model = self.tensors.model()
        self.outputs: Dict[str, TensorOutput] = {}
        for what, names in (("dipole", dipole), ("polarizability", polarizability)):
            if names is not None:
                self.outputs[what] = TensorOutput(model, names, what)
        # keys of atoms.info that models may read, see metatomic-ase
        self.watched = {"charge", "spin_multiplicity", "spin"}
        for calculator in (self.potential, self.tensors):
            for name in calculator.model().requested_inputs(use_new_names=True):
                self.watched.add(name.removeprefix("ase::info::"))
        of_potential = self.potential.model().capabilities().outputs
        self.implemented_properties = list(self.outputs)
        if any(name.split("/")[0] == "energy" for name in of_potential):
            self.implemented_properties += ["energy", "free_energy", "energies"]
            self.implemented_properties += ["forces", "stress"]

    def get_polarizability(self, atoms: ase.Atoms) -> np.ndarray:
        """The polarizability, ``(3, 3)`` in e² Å²/eV.

        :param atoms: the structure.
        """
        return self.get_property("polarizability", atoms)

    def get_property(
        self,
        name: str,
        atoms: Optional[ase.Atoms] = None,
        allow_calculation: bool = True,
    ) -> Any:
        """A property, see :class:`ase.calculators.calculator.Calculator`.

        :param name: as ``energy``, ``dipole``, ``polarizability``.
        :param atoms: the structure; ``None`` for that of the last evaluation.
        :param allow_calculation: whether the model may be evaluated.
        :raises PropertyNotImplementedError: if the models do not have it.
        """
        if name in ("dipole", "polarizability") and name not in self.outputs:
            names = ", ".join(sorted(self.tensors.model().capabilities().outputs))
            raise PropertyNotImplementedError(
                f"which output is the {name}? TensorCalculator(..., {name}='...') says "
                f"so. The outputs of the model are {names}"
            )
        return super().get_property(name, atoms, allow_calculation)

    def check_state(self, atoms: ase.Atoms, tol: float = 1e-15) -> List[str]:
        """What has changed since the last evaluation, also in ``atoms.info``.

        :param atoms: the structure.
        :param tol: tolerance of positions, cell and the like.
        """
        changes = super().check_state(atoms, tol)
        if self.atoms is not None:
            old, new = self.atoms.info, atoms.info
            changes += [k for k in self.watched if not equal(old.get(k), new.get(k))]
        return changes

    def calculate(
        self,
        atoms: Optional[ase.Atoms] = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Evaluate the models; ASE calls this.

        :param atoms: the structure; ``None`` for that of the last evaluation.
        :param properties: what to evaluate.
        :param system_changes: what has changed since the last time.
        :raises PropertyNotImplementedError: for the stress without a cell.
        """
        super().calculate(atoms, properties, system_changes)
        assert self.atoms is not None
        for name in properties:
            if name in self.outputs:
                output = self.outputs[name]
                found = self.tensors.run_model(self.atoms, output.request())
                tensor = output.read(found)[0].cpu().numpy()
                self.results[name] = tensor if name == "dipole" else tensor / VOLUME
            elif name == "stress" and self.atoms.cell.rank < 3:
                raise PropertyNotImplementedError("there is no stress without a cell")
            else:
                of_metatomic = "energy" if name == "free_energy" else name
                found = self.potential.get_property(of_metatomic, self.atoms)
                self.results[name] = found
