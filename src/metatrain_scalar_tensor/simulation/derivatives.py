r"""Derivatives of dipoles and polarizabilities with respect to positions.

They are exact: the exported model is differentiated by automatic differentiation, with
one backward pass for every component of the tensor.
"""

from pathlib import Path
from typing import Union

import ase
import numpy as np
import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import (
    AtomisticModel,
    ModelEvaluationOptions,
    System,
    pick_device,
    systems_to_torch,
)
from metatrain.utils.neighbor_lists import (
    get_requested_neighbor_lists,
    get_system_with_neighbor_lists,
)

from .tensors import Names, TensorOutput, load_exported


Model = Union[str, Path, AtomisticModel]

INPUTS = {
    "charge": (["charge"], 0.0),
    "spin_multiplicity": (["spin_multiplicity", "spin"], 1.0),
}
"""Inputs that a model may ask for: their keys in ``atoms.info``, of which the first one
counts, and their default. They are those of metatomic's calculator."""


def polar_tensors(atoms: ase.Atoms, model: Model, dipole: Names) -> np.ndarray:
    r"""Atomic polar tensors, in crystals called Born effective charges.

    .. math::
        P_{a,ij} = \partial \mu_i / \partial r_{aj}

    The first index belongs to the dipole, the second one to the displacement. Their sum
    over atoms is zero, since the dipole of a model does not change with a translation.

    :param atoms: the structure. In a periodic cell, the derivative is that of the
        dipole of the cell, for the displacement of an atom with all of its images.
    :param model: file of an exported model, or the model.
    :param dipole: name of its output, in any unit of dipoles.
    :return: ``(atoms, 3, 3)`` in units of the elementary charge, in float64.
    :raises OSError: if there is no such file.
    :raises ValueError: if the model has no such output, if this has no unit of a
        dipole, or if the model has other inputs than :data:`INPUTS`.
    """
    return _derivatives(atoms, model, dipole, "dipole")


def raman_tensors(atoms: ase.Atoms, model: Model, polarizability: Names) -> np.ndarray:
    r"""Raman tensors of the atoms.

    .. math::
        R_{a,ijk} = \partial \alpha_{ij} / \partial r_{ak}

    The last index belongs to the displacement.

    :param atoms: the structure.
    :param model: file of an exported model, or the model.
    :param polarizability: name of its output, in any unit of polarizabilities, or names
        of the outputs of its irreps.
    :return: ``(atoms, 3, 3, 3)`` in Å², of the volume :math:`\alpha/4\pi\epsilon_0`,
        in float64.
    :raises OSError: if there is no such file.
    :raises ValueError: if the model has no such output, if this has no unit of a
        polarizability, or if the model has other inputs than :data:`INPUTS`.
    """
    return _derivatives(atoms, model, polarizability, "polarizability")


def _derivatives(atoms: ase.Atoms, model: Model, names: Names, what: str) -> np.ndarray:
    """Derivatives of a tensor, ``(atoms, 3, [3,] 3)``."""
    if isinstance(model, (str, Path)):
        model = load_exported(model)
    output = TensorOutput(model, names, what)
    capabilities = model.capabilities()
    device = pick_device(capabilities.supported_devices, None)
    dtype = getattr(torch, capabilities.dtype)
    system = systems_to_torch(
        atoms, dtype=dtype, device=device, positions_requires_grad=True
    )
    system = get_system_with_neighbor_lists(system, get_requested_neighbor_lists(model))
    _add_inputs(system, model, atoms)
    options = ModelEvaluationOptions(length_unit="angstrom", outputs=output.request())
    predictions = model.to(device)([system], options, check_consistency=False)
    tensor = output.read(predictions)[0]
    gradients = [
        torch.autograd.grad(
            component, system.positions, retain_graph=True, materialize_grads=True
        )[0]
        for component in tensor.flatten()
    ]
    stacked = torch.stack(gradients, dim=1).double()  # (atoms, components, 3)
    return stacked.unflatten(1, tensor.shape).cpu().numpy()


def _add_inputs(system: System, model: AtomisticModel, atoms: ase.Atoms) -> None:
    """Add what the model asks for, as metatomic's calculator does."""
    for name, request in model.requested_inputs(use_new_names=True).items():
        if name not in INPUTS or request.sample_kind != "system":
            raise ValueError(
                f"the model asks for '{name}' of each {request.sample_kind}: only "
                f"{' and '.join(INPUTS)} of a structure can be given"
            )
        keys, default = INPUTS[name]
        found = [float(atoms.info[key]) for key in keys if key in atoms.info]
        block = TensorBlock(
            torch.tensor([[*found, default][:1]]).to(system.positions),
            Labels("system", torch.tensor([[0]], device=system.device)),
            [],
            Labels(name, torch.tensor([[0]], device=system.device)),
        )
        single = Labels("_", torch.tensor([[0]], device=system.device))
        data = TensorMap(single, [block])
        data.set_info("unit", request.unit)
        system.add_data(name, data)
