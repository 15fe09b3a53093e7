"""Numbers of a whole structure that every atom sees: its charge and its spin."""

from typing import List, Sequence

import torch
from metatomic.torch import System


# metatomic's names: values of a neutral structure without unpaired electrons, and units
NEUTRAL = {"charge": 0.0, "spin_multiplicity": 1.0}
UNITS = {"charge": "e", "spin_multiplicity": ""}


class SystemInputs(torch.nn.Module):
    r"""Charge and unpaired electrons per atom, the same for all atoms of a structure.

    .. math::
        u_i = \frac{x - x_0}{s N}

    with the value :math:`x` of a structure of :math:`N` atoms, the value :math:`x_0` of
    a neutral structure without unpaired electrons, and the root mean square :math:`s`
    of :math:`(x - x_0) / N` in the training set. Since it is per atom, :math:`n` copies
    of a structure with :math:`n` times the charge and the unpaired electrons have the
    same :math:`u_i`, and so :math:`n` times the energy.

    :param names: which values, of ``charge`` and ``spin_multiplicity``.
    """

    names: List[str]
    neutral: List[float]
    scale: torch.Tensor  # (inputs,)

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.names = list(names)
        self.neutral = [NEUTRAL[name] for name in names]
        self.register_buffer("scale", torch.ones(len(names)))

    def forward(self, systems: List[System]) -> torch.Tensor:
        """Read the inputs from metatomic's structures.

        :param systems: structures that have these values.
        :return: for the stacked atoms of all structures, ``(atoms, inputs)``
        :raises ValueError: if a structure lacks a value, or has an impossible one.
        """
        return self.per_atom(systems) / self.scale

    @torch.jit.export
    def per_atom(self, systems: List[System]) -> torch.Tensor:
        """The inputs before they are scaled, ``(atoms, inputs)``."""
        columns = [systems[0].positions.new_zeros([len(systems), 0])]
        for name, neutral in zip(self.names, self.neutral):
            columns.append(_values(systems, name).unsqueeze(1) - neutral)
        sizes = torch.tensor([len(system) for system in systems])
        sizes = sizes.to(columns[0].device)
        excess = torch.cat(columns, dim=1) / sizes.unsqueeze(1)  # (structures, inputs)
        return excess.repeat_interleave(sizes, dim=0)

    @torch.jit.unused
    def calibrate(self, batches: Sequence[List[System]]) -> None:
        """Set the scales to the root mean squares of the inputs of all atoms.

        :param batches: typical structures, in batches.
        """
        inputs = torch.cat([self.per_atom(systems) for systems in batches])
        sizes = inputs.square().mean(0).sqrt()
        self.scale.copy_(torch.where(sizes > 0, sizes, 1.0))


def _values(systems: List[System], name: str) -> torch.Tensor:
    """One value for every structure, ``(structures,)``."""
    values: List[torch.Tensor] = []
    for i, system in enumerate(systems):
        if name not in system.known_data():
            raise ValueError(
                f"structure {i} of those to predict has no '{name}', which this model "
                "reads: give it as 'extra_data' in the options of 'mtt eval'. Not all "
                "simulation engines can give it, and metatrain's llpr can't"
            )
        value = system.get_data(name).block().values.flatten()
        if not is_possible(name, value):
            raise ValueError(
                f"structure {i} of those to predict has no possible '{name}': one "
                "finite number is expected, and for the multiplicity 2S + 1 of the "
                "spin one that is at least 1"
            )
        values.append(value)
    return torch.cat(values)


def is_possible(name: str, value: torch.Tensor) -> bool:
    """Whether this is one finite number, and a multiplicity is at least one.

    :param name: ``charge`` or ``spin_multiplicity``.
    :param value: ``(numbers,)``
    """
    if len(value) != 1 or not bool(value.isfinite().all()):
        return False
    return name != "spin_multiplicity" or float(value) >= 1.0


def beside(inputs: torch.Tensor, scalars: torch.Tensor) -> torch.Tensor:
    r"""Scalars of atoms and the inputs, for the first layer of a network.

    An input is multiplied with :math:`\sqrt n`, to count as much as all :math:`n`
    scalars together with random weights of equal size.

    :param inputs: as returned by :class:`SystemInputs`, ``(atoms, inputs)``
    :param scalars: with a variance of one, ``(atoms, n)``
    :return: ``(atoms, n + inputs)``
    """
    return torch.cat([scalars, float(scalars.shape[1]) ** 0.5 * inputs], dim=1)


def with_products(inputs: torch.Tensor, invariants: torch.Tensor) -> torch.Tensor:
    r"""Invariants, and their products with every input and with its square.

    What is linear in :math:`p, pu, pu^2` are invariants with a parabola in the input as
    their weight: for every charge a potential of its own.

    :param inputs: as returned by :class:`SystemInputs`, ``(atoms, inputs)``
    :param invariants: ``(atoms, n)``
    :return: ``(atoms, n · (1 + 2 · inputs))``
    """
    products = [invariants]
    for u in inputs.unbind(1):
        of_input = u.unsqueeze(1) * invariants
        products += [of_input, u.unsqueeze(1) * of_input]
    return torch.cat(products, dim=1)
