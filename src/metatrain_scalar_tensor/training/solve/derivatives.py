"""Rows of the equations for forces and stress: derivatives of the columns."""

from typing import Callable, Dict, List, NamedTuple, Tuple

import torch
from metatensor.torch import TensorBlock
from torch.autograd import forward_ad

from ...density import Surroundings
from ...interface.architecture import ScalarTensor
from ...structures import Structures
from ..cache import Batch
from ..cache.fixed_edges import FixedEdges, fixed_edges


NUM_STRAINS = 9

Columns = Callable[[Structures, Surroundings], torch.Tensor]
"""What the weights of a scalar are multiplied with, for every atom:
``(atoms, columns)``"""


def derivative_rows(
    model: ScalarTensor,
    batch: Batch,
    columns: Columns,
    target: TensorBlock,
    factors: TensorBlock,
    weights: Dict[str, float],
    number: int,
    generator: torch.Generator,
) -> Tuple[torch.Tensor, torch.Tensor]:
    r"""The equations of random components of the forces and of the stress.

    .. math::
        \sum_f W_f \, \frac{\partial}{\partial r_{i\alpha}} \sum_j \Phi_{j, f}
        = -F_{i\alpha}

    One component of every structure at a time, by forward-mode differentiation, which
    takes as long for thousands of columns as for one. The functions of the edges and
    their slopes are computed once.

    :param model: the model.
    :param batch: the structures, without long-range features.
    :param columns: computes the columns.
    :param target: the target, as the loss compares it, with its gradients.
    :param factors: from the output of the network to that.
    :param weights: of the gradients in the loss.
    :param number: how many components of each structure to take at most.
    :param generator: of the choice.
    :return: left sides ``(rows, columns)`` and right sides ``(rows,)``, which may be
        NaN, both with the square root of their weight in the loss.
    """
    edges = batch.edges
    if edges is None:
        edges = fixed_edges(model.model.edges, batch.systems)
    types = model.read.types(batch.systems)
    structures = Structures(batch.systems, types, edges.neighbor_list)
    num_atoms = [len(system) for system in batch.systems]
    components = _components(target, factors, weights, num_atoms, number, generator)
    structure = torch.repeat_interleave(
        torch.arange(len(num_atoms)), torch.tensor(num_atoms)
    ).to(structures.types)
    x: List[torch.Tensor] = []
    y: List[torch.Tensor] = []
    for k in range(int(components.turn.max()) + 1):
        now = components.turn == k
        moves = structures.neighbor_list.vectors.new_zeros(
            3 * len(structure) + NUM_STRAINS * len(num_atoms)
        )
        moves[components.place[now]] = 1.0
        displacements, strains = moves.split(
            [3 * len(structure), NUM_STRAINS * len(num_atoms)]
        )
        strains = strains.reshape(-1, 3, 3)[structure]
        changes = _changes(structures, displacements.reshape(-1, 3), strains)
        slopes = _slopes(model, structures, edges, columns, changes)
        sums = slopes.new_zeros(len(num_atoms), slopes.shape[1]).double()
        sums.index_add_(0, structure, slopes.double())
        sizes = components.size[now].unsqueeze(1)
        x.append(sizes * components.factor[now, None] * sums[components.structure[now]])
        y.append(components.size[now] * components.value[now])
    return torch.cat(x), torch.cat(y)


class _Components(NamedTuple):
    """Components of the gradients of a target, in float64."""

    structure: torch.Tensor
    """The structure of each, ``(components,)``"""
    place: torch.Tensor
    """What to move: coordinates of atoms and then strains of structures, numbered"""
    value: torch.Tensor
    factor: torch.Tensor
    """From the output of the network to the value"""
    size: torch.Tensor
    """Square root of the weight in the loss"""
    turn: torch.Tensor
    """Random number of each among those of its structure, from zero"""


def _components(
    target: TensorBlock,
    factors: TensorBlock,
    weights: Dict[str, float],
    num_atoms: List[int],
    number: int,
    generator: torch.Generator,
) -> _Components:
    """Choose components of the gradients, at most ``number`` of every structure.

    The loss is the mean over all components of one kind.
    """
    first_atoms = torch.tensor([0, *num_atoms]).cumsum(0)
    parts: List[List[torch.Tensor]] = []
    for kind in target.gradients_list():
        gradient = target.gradient(kind)
        device = gradient.values.device
        structure = gradient.samples.column("sample").to(device, torch.int64)
        values = gradient.values.double().flatten(1)  # (samples, 3 or 9)
        if kind == "positions":
            atom = gradient.samples.column("atom").to(structure)
            start = 3 * (first_atoms.to(device)[structure] + atom)
            counts = 3.0 * torch.tensor(num_atoms, device=device)[structure]
        else:
            start = 3 * int(first_atoms[-1]) + NUM_STRAINS * structure
            counts = torch.full_like(values[:, 0], NUM_STRAINS)
        width = values.shape[1]
        parts.append(
            [
                structure.repeat_interleave(width),
                (start.unsqueeze(1) + torch.arange(width, device=device)).flatten(),
                values.flatten(),
                factors.gradient(kind).values.double().flatten(),
                (weights[kind] / counts.double()).repeat_interleave(width),
            ]
        )
    structure, place, value, factor, weight = map(torch.cat, zip(*parts, strict=True))
    random = torch.rand(len(structure), generator=generator).to(weight)
    order = torch.argsort(structure + random)
    totals = torch.bincount(structure)
    turn = torch.empty_like(order)
    starts = (totals.cumsum(0) - totals)[structure[order]]
    turn[order] = torch.arange(len(order), device=order.device) - starts
    share = (number / totals[structure]).clamp(max=1.0)
    size = torch.sqrt(weight / share)
    chosen = turn < number
    return _Components(
        *(x[chosen] for x in (structure, place, value, factor, size, turn))
    )


def _changes(
    structures: Structures, displacements: torch.Tensor, strains: torch.Tensor
) -> torch.Tensor:
    """Tangents of the vectors between atoms, ``(entries, 3)``.

    :param structures: the structures.
    :param displacements: of all atoms, ``(atoms, 3)``
    :param strains: of the structures of all atoms, ``(atoms, 3, 3)``
    """
    first, second, _, vectors = structures.neighbor_list
    changes = displacements[second] - displacements[first]
    return changes + torch.einsum("ea,eab->eb", vectors, strains[first])


def _slopes(
    model: ScalarTensor,
    structures: Structures,
    edges: FixedEdges,
    columns: Columns,
    changes: torch.Tensor,
) -> torch.Tensor:
    """Derivatives of the columns of all atoms, ``(atoms, columns)``.

    :param model: the model.
    :param structures: the structures.
    :param edges: their edges, with slopes.
    :param columns: as in :func:`derivative_rows`.
    :param changes: of the vectors between atoms, ``(entries, 3)``
    """
    with forward_ad.dual_level():
        moved = edges.moved(changes).of(structures, model.model.edges)
        surroundings = Surroundings(model.model.density(structures, moved), moved)
        values = columns(structures, surroundings)
        slopes = forward_ad.unpack_dual(values).tangent
    return torch.zeros_like(values) if slopes is None else slopes
