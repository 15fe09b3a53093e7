"""The linear equations that the last weights of targets fulfil."""

from contextlib import contextmanager
from typing import (
    Any,
    Dict,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Tuple,
)

import torch
from metatensor.torch import TensorBlock, TensorMap
from torch.nn.utils.rnn import pad_sequence

from ...basis import basis_name
from ...density import Surroundings
from ...o3 import Irrep
from ...readout import Centers, center_of
from ...structures import Structures
from ..cache import Batch
from ..epoch import EpochRunner
from .derivatives import derivative_rows
from .equations import Equations, Irreps, Sides
from .factors import Factors


SCALARS = basis_name(Irrep(0, 1))


class Seen(NamedTuple):
    """What a readout is called with."""

    centers: Centers
    density: List[torch.Tensor]
    opposite: Optional[torch.Tensor]
    """Index of each pair with its atoms exchanged, ``None`` for atoms"""


EquationsOfKinds = List[List[Equations]]
"""For every kind of centers with coefficients of its own: those of some symmetries
each"""


@contextmanager
def watching(readouts: Dict[str, Any]) -> Iterator[Dict[str, Seen]]:
    """Inside of this context, what the readouts are called with is kept."""
    seen: Dict[str, Seen] = {}

    def keep(center: str) -> Any:
        def hook(module: Any, inputs: Any) -> None:
            centers, density, _, opposite, *_ = inputs
            seen[center] = Seen(centers, density, opposite)

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


class Collector:
    """Collects the equations of some targets, batch by batch.

    :param runner: evaluates batches.
    :param heads: the heads of the targets.
    :param equations: where to add those of each target.
    :param num_components: how many components of gradients to take of a structure; 0
        for values alone.
    """

    def __init__(
        self,
        runner: EpochRunner,
        heads: Mapping[str, Any],
        equations: Mapping[str, EquationsOfKinds],
        num_components: int,
    ) -> None:
        self.runner = runner
        self.heads = heads
        self.equations = equations
        self.num_components = num_components
        self.generator = torch.Generator().manual_seed(0)  # of components
        self.readouts: Dict[str, Any] = dict(runner.module.model.readouts.items())

    @torch.no_grad()
    def add(self, batch: Batch) -> None:
        """Add the equations of a batch."""
        runner = self.runner
        with watching(self.readouts) as seen:
            with torch.set_grad_enabled(runner.has_gradients):
                predictions = runner.predict(batch, is_training=False)
        factors = runner.factors_of_loss(batch, predictions)
        for name in sorted(set(self.equations) & set(batch.targets)):
            factor = factors[name].block(0)
            size = self._size(batch, name, factor.values)
            sides = self._sides(batch, name, factors[name], seen)
            samples_of_kinds = self._samples(name, batch, seen)
            for of_kind, samples in zip(
                self.equations[name], samples_of_kinds, strict=True
            ):
                for equations in of_kind if len(samples) > 0 else []:
                    chosen = samples[equations.choose(len(samples))]
                    chosen_sides = sides.of(chosen, equations.symmetries)
                    if size is not None:
                        chosen_sides = _weighted(chosen_sides, size[chosen])
                    equations.add(chosen_sides)
            gradients = batch.targets[name].block(0).gradients_list()
            if len(gradients) > 0 and self.num_components > 0:
                self._add_gradients(batch, name, factor)

    def _center(self, name: str) -> str:
        """What a target is predicted for."""
        return center_of(self.runner.targets_info[name])

    def _samples(
        self, name: str, batch: Batch, seen: Dict[str, Seen]
    ) -> List[torch.Tensor]:
        """The samples of every kind that has coefficients of its own."""
        num_kinds = self.heads[name].coefficients.num_kinds
        if num_kinds == 1:
            return [torch.arange(len(batch.targets[name].block(0).samples))]
        kinds = seen[self._center(name)].centers.types.cpu()
        return [torch.where(kinds == q)[0] for q in range(num_kinds)]

    def _size(
        self, batch: Batch, name: str, factors: torch.Tensor
    ) -> Optional[torch.Tensor]:
        """Factors from means over atoms to what the loss compares.

        For a target with gradients these have its unit and weight, whether or not this
        batch has any.

        :return: ``(samples, 1, 1)``; ``None`` if they are all the same
        """
        runner = self.runner
        num_atoms = torch.tensor([len(system) for system in batch.systems])
        num_atoms = num_atoms.to(factors).double().reshape(-1, 1, 1)
        if runner.targets_info[name].gradients and self.num_components > 0:
            weight = self._weights(name)["value"]
            return weight**0.5 * num_atoms * factors.double().unsqueeze(2)
        if name in runner.hypers["per_structure_targets"]:
            return num_atoms
        return None

    def _weights(self, name: str) -> Dict[str, float]:
        """Weights in the loss, of values and of gradients, relative to the largest."""
        loss = self.runner.loss.metadata[name]
        of_gradients = {kind: x["weight"] for kind, x in loss["gradients"].items()}
        weights = {"value": loss["weight"], **of_gradients}
        largest = max(weights.values()) or 1.0
        return {kind: weight / largest for kind, weight in weights.items()}

    def _add_gradients(self, batch: Batch, name: str, factors: TensorBlock) -> None:
        """Add the equations of forces and stress, weighted as in the loss."""
        module, ((equations,),) = self.runner.module, self.equations[name]

        def columns(structures: Structures, surroundings: Surroundings) -> torch.Tensor:
            with watching(self.readouts) as seen:
                module.model(structures, [name], None, surroundings)
            centers = seen["atom"].centers
            features = self.heads[name].last_layer_features(centers.features)
            return _columns_of_scalars(self.heads[name], features, centers)

        slopes, values = derivative_rows(
            module,
            batch,
            columns,
            batch.targets[name].block(0),
            factors,
            self._weights(name),
            self.num_components,
            self.generator,
        )
        chosen = equations.choose(len(values))
        y = values[chosen, None, None]
        x = Factors.of_rows(slopes[chosen, None])
        equations.add({SCALARS: (x, {(0, 0): y})})

    def _sides(
        self, batch: Batch, name: str, factors: TensorMap, seen: Dict[str, Seen]
    ) -> "_Sides":
        """What the equations of a target are made of.

        :param batch: the structures and their targets.
        :param name: the target.
        :param factors: from the output of the network to the target in the loss.
        :param seen: scalars and density of the centers.
        """
        head, target = self.heads[name], batch.targets[name]
        center = self._center(name)
        centers, density, opposite = seen[center]
        num_atoms: List[int] = []
        if target.block(0).samples.names == ["system"]:
            num_atoms = [len(system) for system in batch.systems]
        features = head.last_layer_features(centers.features)
        left: Dict[str, Tuple[torch.Tensor, torch.Tensor]] = {}
        bases = self.readouts[center].bases(density, head.basis_names)
        for symmetry, tensors in head.tensors(bases, centers).items():
            columns = features
            if symmetry == SCALARS:
                columns = _columns_of_scalars(head, features, centers)
            left[symmetry] = (columns, tensors)
        right = _right_sides(head, target, factors, opposite, num_atoms)
        return _Sides(left, right, num_atoms)


class _Sides(NamedTuple):
    """Both sides of the equations of a target, for all samples of a batch."""

    left: Dict[str, Tuple[torch.Tensor, torch.Tensor]]
    """For every symmetry columns ``(centers, f)`` and tensors ``(centers, 2λ + 1, b)``
    """
    right: Dict[str, Irreps]
    """For every symmetry"""
    num_atoms: List[int]
    """Of the structures, empty for samples that are centers"""

    def of(self, chosen: torch.Tensor, symmetries: List[str]) -> Sides:
        """The sides of some samples, for some symmetries."""
        sides: Sides = {}
        for symmetry in symmetries:
            columns, tensors = self.left[symmetry]
            x = _left_side(columns, tensors, chosen, self.num_atoms)
            irreps = self.right[symmetry]
            sides[symmetry] = x, {irrep: y[chosen] for irrep, y in irreps.items()}
        return sides


def _weighted(sides: Sides, size: torch.Tensor) -> Sides:
    """Both sides times factors of the samples, ``(samples, 1, 1)``."""
    return {
        symmetry: (
            x._replace(tensors=size * x.tensors),
            {irrep: size * y for irrep, y in irreps.items()},
        )
        for symmetry, (x, irreps) in sides.items()
    }


def _columns_of_scalars(
    head: Any, features: torch.Tensor, centers: Centers
) -> torch.Tensor:
    """What the weights of a scalar are multiplied with.

    :param head: head of the target.
    :param features: inputs of its last layer, ``(centers, f)``
    :param centers: scalars of the centers.
    :return: ``(centers, columns)``, the features first.
    """
    for block in head.blocks:
        if block.linear is not None:  # the same columns for all blocks
            scalars = head.scalars(centers)
            if head.coefficients.num_kinds > 1:  # solved for one kind at a time
                linear = block.linear.columns_of_type(scalars)
            else:
                linear = block.linear.columns(scalars, centers.types)
            return torch.cat([features, linear], dim=1)
    return features


def _left_side(
    features: torch.Tensor,
    tensors: torch.Tensor,
    chosen: torch.Tensor,
    num_atoms: List[int],
) -> Factors:
    """Features times tensors, the mean over the atoms of structures.

    :param features: ``(centers, f)``
    :param tensors: ``(centers, 2λ + 1, b)``
    :param chosen: the samples that are wanted.
    :param num_atoms: of the structures, empty for samples that are centers.
    :return: those of the chosen samples.
    """
    if len(num_atoms) == 0:
        return Factors(tensors[chosen].double(), features[chosen].double())

    def padded(x: torch.Tensor) -> torch.Tensor:
        """Atoms as second axis, as many as the largest structure has."""
        parts = x.double().flatten(1).split(num_atoms)
        return pad_sequence(parts, batch_first=True)[chosen]  # zeros behind them

    b, h = padded(tensors), padded(features)  # (samples, atoms, (2λ + 1) · b or f)
    means = (b.transpose(1, 2) @ h) / torch.tensor(num_atoms)[chosen, None, None].to(h)
    return Factors.of_rows(means.unflatten(1, tensors.shape[1:]).flatten(2))


def targets_of_network(
    head: Any, target: TensorMap, factors: TensorMap, opposite: Optional[torch.Tensor]
) -> List[torch.Tensor]:
    """What the network should predict, ``(samples, *components, properties)`` each.

    :param head: head of the target.
    :param target: the target, as the loss compares it.
    :param factors: from the output of the network to that.
    :param opposite: index of each pair with its atoms exchanged, ``None`` for atoms.
    """
    values = [
        block.values.double() / factor.values.double()
        for block, factor in zip(target.blocks(), factors.blocks(), strict=True)
    ]
    if head.exchange is not None and opposite is not None:
        # data may have one of the two orders of every pair
        others = head.exchange.exchanged(values, opposite)
        values = [torch.where(y.isnan(), z, y) for y, z in zip(values, others)]
    return values


def _right_sides(
    head: Any,
    target: TensorMap,
    factors: TensorMap,
    opposite: Optional[torch.Tensor],
    num_atoms: List[int],
) -> Dict[str, Irreps]:
    """The irreps of a target in units of the network.

    :param head: head of the target.
    :param target: the target, as the loss compares it.
    :param factors: from the output of the network to that.
    :param opposite: index of each pair with its atoms exchanged, ``None`` for atoms.
    :param num_atoms: of the structures, empty for samples that are centers.
    :return: those of every symmetry.
    """
    irreps: Dict[str, Irreps] = {}
    values = targets_of_network(head, target, factors, opposite)
    for i, (block, y) in enumerate(zip(head.blocks, values, strict=True)):
        y = y.unsqueeze(1).flatten(1, -2)  # (samples, components, properties)
        if len(num_atoms) > 0:
            y = y / torch.tensor(num_atoms).to(y).reshape(-1, 1, 1)
        if not block.is_irreducible:
            y = block.change_of_basis.double() @ y
        of_irreps = zip(block.basis_names, y.split(block.num_components, dim=1))
        for j, (symmetry, z) in enumerate(of_irreps):
            irreps.setdefault(symmetry, {})[i, j] = z
    return irreps
