"""A driver of i-PI for energy, forces and tensors of a model, also of ions.

::

    i-pi-driver-py -u -a ethanol -m custom -P ipi_tensors.py \
        -o template=ethanol.xyz,model=ethanol.pt,dipole=mtt::mu

i-PI's own driver (``-m metatomic``) asks a model for its energy alone, and has no total
charge to give to it. This one evaluates structures in ASE: charge and spin multiplicity
are those of the template, and dipole and polarizability are written as ``extras``, in
ASE's units.
"""

from typing import Any, Optional

from ipi.pes import load_pes

from metatrain_scalar_tensor.simulation import TensorCalculator


__DRIVER_NAME__ = "tensors"
__DRIVER_CLASS__ = "TensorDriver"


class TensorDriver(load_pes("ase", "")):
    """Evaluates a model for i-PI.

    :param template: a structure that ASE can read, with the elements in the order of
        i-PI's; for models that read them with ``charge`` and ``spin_multiplicity``.
    :param model: file of the model.
    :param tensors: file of the model of dipole and polarizability, by default the same.
    :param dipole: name of the output that is the dipole.
    :param polarizability: the same for the polarizability.
    """

    def __init__(
        self,
        template: str,
        model: str,
        tensors: Optional[str] = None,
        dipole: Optional[str] = None,
        polarizability: Optional[str] = None,
        **options: Any,
    ) -> None:
        self.model, self.tensors = model, tensors
        self.outputs = {"dipole": dipole, "polarizability": polarizability}
        super().__init__(template, **options)

    def check_parameters(self) -> None:
        """Read the template, and load the models."""
        super().check_parameters()
        self.ase_calculator = TensorCalculator(self.model, self.tensors, **self.outputs)
        self.template_ase.pbc = True  # i-PI has a cell for everything
        self.capabilities += [what for what, name in self.outputs.items() if name]
