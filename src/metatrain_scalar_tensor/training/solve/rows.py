"""Rows of the linear equations that the last weights of targets fulfil."""

from contextlib import contextmanager
from typing import Any, Dict, Iterator, List, Mapping, Tuple

import metatensor.torch as mts
import torch
from metatensor.torch import TensorMap

from ...basis import basis_name
from ...o3 import Irrep
from ...readout import Centers
from ...structures import Structures
from ..epoch import EpochRunner
from ..loaders import AllBatches
from .derivatives import derivative_rows


Seen = Tuple[Centers, List[torch.Tensor]]  # scalars and density of the centers

SCALARS = basis_name(Irrep(0, 1))
MAX_RANK = 3000  # of the equations; takes about 10 s
MAX_NUMBERS = 2**27  # in the left sides of one symmetry: 1 GiB


class Rows:
    r"""The equations of one target.

    .. math::
        \sum_{bf} W_{bf} \, \Phi_{bf} = z, \qquad
        \Phi_{bf} = \sum_i h_{i, f} \, B_{i, b}^{\lambda \sigma}

    for every irrep :math:`z` of a block, with the sum over the atoms of a structure
    where the target is one of structures. Errors count as in the loss: those of
    structures are divided by the number of atoms.

    Of more samples than ``MAX_RANK`` and ``MAX_NUMBERS`` allow, some are chosen at
    random.
    """

    def __init__(self) -> None:
        self.x: Dict[str, List[torch.Tensor]] = {}
        """For every symmetry, ``(samples, 2λ + 1, tensors · features)``, in parts"""
        self.y: Dict[Tuple[int, int], List[torch.Tensor]] = {}
        """For every block and irrep, ``(samples, 2λ + 1, properties)``; may be NaN"""
        self.num_samples = 0
        self._rate = 1.0  # the fraction of samples that are kept
        self.generator = torch.Generator().manual_seed(0)

    def choose(self, num_samples: int) -> torch.Tensor:
        """The samples of a batch to be kept.

        :param num_samples: number of samples of the batch.
        """
        random = torch.rand(num_samples, generator=self.generator)
        return torch.where(random < self._rate)[0]

    def add(
        self, x: Dict[str, torch.Tensor], y: Dict[Tuple[int, int], torch.Tensor]
    ) -> None:
        """Add the chosen samples of a batch, and drop half of all if they are too many.

        :param x: left sides.
        :param y: right sides.
        """
        for symmetry, values in x.items():
            self.x.setdefault(symmetry, []).append(values)
        for irrep, values in y.items():
            self.y.setdefault(irrep, []).append(values)
        self.num_samples += len(next(iter(x.values())))
        while any(_is_too_large(self.num_samples, values) for values in x.values()):
            random = torch.randperm(self.num_samples, generator=self.generator)
            kept = random[: self.num_samples // 2].sort().values
            for parts in (*self.x.values(), *self.y.values()):
                parts[:] = [torch.cat(parts)[kept]]
            self.num_samples = len(kept)
            self._rate *= 0.5

    def of_symmetry(self, name: str) -> torch.Tensor:
        """The left sides for one symmetry, ``(rows, columns)``."""
        return torch.cat(self.x[name]).flatten(0, 1)

    def of_irrep(self, block: int, irrep: int) -> torch.Tensor:
        """The right sides for one irrep of a block, ``(rows, properties)``."""
        return torch.cat(self.y[block, irrep]).flatten(0, 1)


def _is_too_large(num_samples: int, x: torch.Tensor) -> bool:
    """Whether solving takes too long, or the rows too much memory."""
    rows, columns = num_samples * x.shape[1], x.shape[2]
    return min(rows, columns) > MAX_RANK or rows * columns > MAX_NUMBERS


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
    runner: EpochRunner,
    data: AllBatches,
    heads: Mapping[str, Any],
) -> Dict[str, Rows]:
    """Set up the equations of some targets.

    :param runner: evaluates batches.
    :param data: the structures.
    :param heads: the heads of the targets.
    :return: the equations of every target, in float64 on the CPU.
    """
    model = runner.module.model
    readouts: Dict[str, Any] = dict(model.readouts.items())
    rows = {name: Rows() for name in heads}
    num_components = max(1, MAX_RANK // max(data.num_structures, 1) - 1)
    with _watching(readouts) as seen:
        for batch in data.batches:
            with torch.set_grad_enabled(runner.has_gradients):
                predictions = runner.predict(batch, is_training=False)
            seen_now = dict(seen)  # derivatives overwrite it
            # what a prediction is multiplied with to be compared in the loss
            ones = {name: mts.ones_like(x) for name, x in predictions.items()}
            factors = runner.as_in_loss(batch.systems, runner.pair_scales(ones, False))
            num_atoms = [len(system) for system in batch.systems]
            for name in sorted(set(heads) & set(batch.targets)):
                head, target = heads[name], batch.targets[name]
                center = "atom_pair" if name in readouts["atom_pair"].heads else "atom"
                centers, density = seen_now[center]
                bases = readouts[center].bases(density, head.basis_names)
                is_sum = target.block(0).samples.names == ["system"]
                chosen = rows[name].choose(len(target.block(0).samples))
                x: Dict[str, torch.Tensor] = {}
                for symmetry, tensors in bases.items():
                    features = _columns(head, centers, symmetry)
                    x[symmetry] = _left_side(
                        features, tensors, chosen, num_atoms * is_sum
                    )
                y = _right_sides(
                    head, target, factors[name], chosen, num_atoms * is_sum
                )
                if len(target.block(0).gradients_list()) > 0:
                    # rows of values and of gradients, weighted as in the loss
                    weights = runner.loss.metadata[name]
                    size = weights["weight"] ** 0.5 * _total_factors(
                        factors[name].block(0).values, num_atoms, chosen
                    )
                    x[SCALARS], y[0, 0] = size * x[SCALARS], size * y[0, 0]
                    rows[name].add(x, y)

                    def columns(
                        structures: Structures, name: str = name
                    ) -> torch.Tensor:
                        model(structures, [name])
                        return _columns(heads[name], seen["atom"][0], SCALARS)

                    slopes, values = derivative_rows(
                        runner.module,
                        batch,
                        columns,
                        target.block(0),
                        factors[name].block(0),
                        {k: w["weight"] for k, w in weights["gradients"].items()},
                        num_components,
                        rows[name].generator,
                    )
                    chosen = rows[name].choose(len(values))
                    x = {SCALARS: slopes[chosen, None]}
                    y = {(0, 0): values[chosen, None, None]}
                rows[name].add(x, y)
    return rows


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


def _total_factors(
    factors: torch.Tensor, num_atoms: List[int], chosen: torch.Tensor
) -> torch.Tensor:
    """Factors from means over atoms to values in the loss, ``(samples, 1, 1)``."""
    sizes = torch.tensor(num_atoms).to(factors).unsqueeze(1)
    return (factors * sizes)[chosen].double().cpu().unsqueeze(2)


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
