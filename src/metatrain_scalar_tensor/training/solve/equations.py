"""The linear equations that the last weights of targets fulfil."""

from contextlib import contextmanager
from functools import partial
from typing import Any, Dict, Iterator, List, Mapping, Tuple

import metatensor.torch as mts
import torch
from metatensor.torch import TensorMap

from ...basis import basis_name
from ...o3 import Irrep
from ...readout import Centers
from ...structures import Structures
from ..cache import Batch
from ..epoch import EpochRunner
from ..loaders import AllBatches
from .derivatives import derivative_rows
from .rows import MAX_RANK, Rows


SCALARS = basis_name(Irrep(0, 1))

Seen = Tuple[Centers, List[torch.Tensor]]  # scalars and density of the centers
Sides = Tuple[Dict[str, torch.Tensor], Dict[Tuple[int, int], torch.Tensor]]


@contextmanager
def _watching(readouts: Dict[str, Any]) -> Iterator[Dict[str, Seen]]:
    """Inside of this context, what the readouts are called with is kept."""
    seen: Dict[str, Seen] = {}

    def keep(center: str) -> Any:
        def hook(module: Any, inputs: Any) -> None:
            seen[center] = (inputs[0], inputs[1])

        return hook

    hooks = [
        readout.register_forward_pre_hook(keep(center))
        for center, readout in readouts.items()
    ]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


@torch.no_grad()
def collect_rows(
    runner: EpochRunner, data: AllBatches, heads: Mapping[str, Any]
) -> Dict[str, Rows]:
    """Set up the equations of some targets.

    :param runner: evaluates batches.
    :param data: the structures.
    :param heads: the heads of the targets.
    :return: the equations of every target, in float64 on the CPU.
    """
    rows = {name: Rows() for name in heads}
    num_components = max(1, MAX_RANK // max(data.num_structures, 1) - 1)
    with _watching(dict(runner.module.model.readouts.items())) as seen:
        for batch in data.batches:
            with torch.set_grad_enabled(runner.has_gradients):
                predictions = runner.predict(batch, is_training=False)
            seen_now = dict(seen)  # derivatives overwrite it
            # what a prediction is multiplied with to be compared in the loss
            ones = {name: mts.ones_like(x) for name, x in predictions.items()}
            factors = runner.as_in_loss(batch.systems, runner.pair_scales(ones, False))
            for name in sorted(set(heads) & set(batch.targets)):
                center = _center_of(runner.module.model, name)
                add = _add_values
                if len(batch.targets[name].block(0).gradients_list()) > 0:
                    add = partial(_add_values_and_gradients, seen, num_components)
                add(runner, batch, name, factors[name], seen_now[center], rows[name])
    return rows


def _add_values(
    runner: EpochRunner,
    batch: Batch,
    name: str,
    factors: TensorMap,
    seen: Seen,
    rows: Rows,
) -> None:
    """Add the equations of the values of a target.

    :param runner: has the model.
    :param batch: the structures and their targets.
    :param name: the target.
    :param factors: from the output of the network to the target, as the loss has it.
    :param seen: scalars and density of the centers.
    :param rows: the equations so far.
    """
    chosen = rows.choose(len(batch.targets[name].block(0).samples))
    rows.add(*_sides(runner, batch, name, factors, seen, chosen))


def _add_values_and_gradients(
    seen_in_model: Dict[str, Seen],
    num_components: int,
    runner: EpochRunner,
    batch: Batch,
    name: str,
    factors: TensorMap,
    seen: Seen,
    rows: Rows,
) -> None:
    """Add the equations of values and gradients, weighted as in the loss.

    :param seen_in_model: where :func:`_watching` keeps what the model does.
    :param num_components: how many components of gradients to take of a structure.

    The other parameters are those of :func:`_add_values`.
    """
    model, target = runner.module.model, batch.targets[name].block(0)
    weights = runner.loss.metadata[name]
    chosen = rows.choose(len(target.samples))
    x, y = _sides(runner, batch, name, factors, seen, chosen)
    num_atoms = torch.tensor([len(system) for system in batch.systems])
    # from means over atoms to values in the loss
    size = factors.block(0).values.double().cpu() * num_atoms.unsqueeze(1)
    size = weights["weight"] ** 0.5 * size[chosen].unsqueeze(2)  # (samples, 1, 1)
    rows.add({SCALARS: size * x[SCALARS]}, {(0, 0): size * y[0, 0]})

    def columns(structures: Structures) -> torch.Tensor:
        model(structures, [name])
        return _columns(model.heads()[name], seen_in_model["atom"][0], SCALARS)

    slopes, values = derivative_rows(
        runner.module,
        batch,
        columns,
        target,
        factors.block(0),
        {kind: of_kind["weight"] for kind, of_kind in weights["gradients"].items()},
        num_components,
        rows.generator,
    )
    chosen = rows.choose(len(values))
    rows.add({SCALARS: slopes[chosen, None]}, {(0, 0): values[chosen, None, None]})


def _sides(
    runner: EpochRunner,
    batch: Batch,
    name: str,
    factors: TensorMap,
    seen: Seen,
    chosen: torch.Tensor,
) -> Sides:
    """Left sides for every symmetry, and right sides for every block and irrep.

    The parameters are those of :func:`_add_values`, and the samples that are chosen.
    """
    head, target = runner.module.model.heads()[name], batch.targets[name]
    centers, density = seen
    num_atoms: List[int] = []
    if target.block(0).samples.names == ["system"]:
        num_atoms = [len(system) for system in batch.systems]
    readout: Any = runner.module.model.readouts[_center_of(runner.module.model, name)]
    bases = readout.bases(density, head.basis_names)
    x = {
        symmetry: _left_side(
            _columns(head, centers, symmetry), tensors, chosen, num_atoms
        )
        for symmetry, tensors in bases.items()
    }
    return x, _right_sides(head, target, factors, chosen, num_atoms)


def _center_of(model: Any, name: str) -> str:
    """The kind of center of a target, by which the readouts are named."""
    return "atom_pair" if name in model.readouts["atom_pair"].heads else "atom"


def _columns(head: Any, centers: Centers, symmetry: str) -> torch.Tensor:
    """What the weights of every tensor of a symmetry are multiplied with.

    :param head: head of the target.
    :param centers: scalars of the centers.
    :param symmetry: the symmetry; scalars have a linear term besides.
    :return: ``(centers, columns)``
    """
    features = head.last_layer_features(centers.features)
    terms = [block.linear for block in head.blocks if block.linear is not None]
    if symmetry != SCALARS or len(terms) == 0:
        return features
    linear = terms[0].columns(centers.invariants, centers.types)
    return torch.cat([features, linear], dim=1)


def _left_side(
    features: torch.Tensor,
    tensors: torch.Tensor,
    chosen: torch.Tensor,
    num_atoms: List[int],
) -> torch.Tensor:
    """Features times tensors, the mean over the atoms of structures.

    :param features: ``(centers, f)``
    :param tensors: ``(centers, 2λ + 1, b)``
    :param chosen: the samples that are wanted.
    :param num_atoms: of the structures, empty for samples that are centers.
    :return: ``(chosen samples, 2λ + 1, b · f)``
    """
    if len(num_atoms) == 0:
        b, h = tensors[chosen].double(), features[chosen].double()
        return torch.einsum("imb,if->imbf", b, h).flatten(2).cpu()
    b_parts, h_parts = tensors.split(num_atoms), features.split(num_atoms)
    means = [
        torch.einsum("imb,if->mbf", b_parts[n].double(), h_parts[n].double())
        / num_atoms[n]
        for n in chosen.tolist()
    ]
    shape = (0, tensors.shape[1], tensors.shape[2], features.shape[1])
    stacked = torch.stack(means) if means else torch.empty(shape).double()
    return stacked.flatten(2).cpu()


def _right_sides(
    head: Any,
    target: TensorMap,
    factors: TensorMap,
    chosen: torch.Tensor,
    num_atoms: List[int],
) -> Dict[Tuple[int, int], torch.Tensor]:
    """The irreps of a target in units of the network.

    :param head: head of the target.
    :param target: the target, as the loss compares it.
    :param factors: from the output of the network to that.
    :param chosen: the samples that are wanted.
    :param num_atoms: of the structures, empty for samples that are centers.
    :return: for every block and irrep ``(chosen samples, 2λ + 1, properties)``
    """
    irreps: Dict[Tuple[int, int], torch.Tensor] = {}
    for i, block in enumerate(head.blocks):
        y = target.block(i).values.double() / factors.block(i).values.double()
        y = y.unsqueeze(1).flatten(1, -2)  # (samples, components, properties)
        if len(num_atoms) > 0:
            y = y / torch.tensor(num_atoms).to(y).reshape(-1, 1, 1)
        if not block.is_irreducible:
            y = block.change_of_basis.double() @ y
        for j, z in enumerate(y[chosen].split(block.num_components, dim=1)):
            irreps[i, j] = z.cpu()
    return irreps
