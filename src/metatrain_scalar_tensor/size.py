"""How large a model would be, before any of it is made."""

from typing import Dict, List, NamedTuple, Set, Tuple

from metatrain.utils.data import DatasetInfo

from .basis.gradients import NUM_HIDDEN
from .documentation import ModelHypers, TensorBasisHypers
from .messages import GATE_WIDTH
from .o3 import Irrep
from .targets import target_irreps


# Generous: Adam keeps four numbers for every weight, 16 GB in float64 at this limit,
# and a batch has hundreds of atoms.
MAX_WEIGHTS = 500_000_000
MAX_PER_ATOM = 2**23  # numbers, 64 MiB in float64
MAX_TABLES = 2**28  # numbers, 2 GiB in float64


class Part(NamedTuple):
    """What one part of a model needs, as numbers to be kept."""

    name: str
    hypers: str  # that it grows with
    weights: int = 0
    per_atom: int = 0  # in a forward pass, where that is much
    tables: int = 0  # constants


def estimate_size(hypers: ModelHypers, info: DatasetInfo) -> List[Part]:
    """What the parts of a model need, without making them.

    :param hypers: hyperparameters of the model.
    :param info: atomic types and targets, atomic-basis ones in their dense form.
    :return: the parts. Their weights are exact, but for metatrain's long-range
        featurizer, which is left out.
    """
    parts = _of_density(hypers, len(info.atomic_types))
    ranks = [
        len(target.layout.block().components)
        for target in info.targets.values()
        if target.is_cartesian
    ]
    parts.append(Part("change of basis", "the rank", tables=9 ** max(ranks, default=0)))
    if parts[-1].tables <= MAX_TABLES:
        parts += _of_targets(hypers, info)
    return parts


def check_size(hypers: ModelHypers, info: DatasetInfo) -> None:
    """Refuse a model that no machine could hold.

    :param hypers: hyperparameters of the model.
    :param info: atomic types and targets, atomic-basis ones in their dense form.
    :raises ValueError: if it is too large, with the estimate and what to reduce.
    """
    parts = estimate_size(hypers, info)
    for field, limit, what in (
        ("weights", MAX_WEIGHTS, "weights"),
        ("per_atom", MAX_PER_ATOM, "numbers in memory for every atom"),
        ("tables", MAX_TABLES, "constants"),
    ):
        total = sum(getattr(part, field) for part in parts)
        if total > limit:
            largest = max(parts, key=lambda part: getattr(part, field))
            raise ValueError(
                f"the model would have about {total:.1e} {what}, or "
                f"{total * 8 / 2**30:.2g} GiB in float64, and more than {limit:.1e} "
                f"are refused. Most of them belong to the {largest.name}: reduce "
                f"{largest.hypers}"
            )


def _num_inputs(hypers: ModelHypers, num_types: int) -> int:
    """Number of channels of the density."""
    species = hypers["species"]
    if species["type"] == "tensor_reduced":
        return species["num_channels"]
    return num_types * (hypers["expansion"]["basis"]["radial"]["max_radial"] + 1)


def _num_points(degree: int) -> int:
    """Number of points of a grid on the sphere, roughly."""
    return (degree + 1) ** 2 // 2


def _of_density(hypers: ModelHypers, num_types: int) -> List[Part]:
    """The parts from the density to the features."""
    basis = hypers["expansion"]["basis"]
    num_l, num_radial = basis["max_angular"] + 1, basis["radial"]["max_radial"] + 1
    width = hypers["network"]["num_neurons_per_layer"]
    channels = _num_inputs(hypers, num_types)
    is_reduced = hypers["species"]["type"] == "tensor_reduced"
    angular = "'max_angular' of 'model.expansion.basis'"
    if is_reduced:
        growing = f"'num_channels' of 'model.species', or {angular}"
        order = hypers["species"]["correlation_order"]
        invariants = channels * (1 + num_l * (order - 1))
        points = _num_points(3 * num_l)
        density = Part(
            "density",
            growing,
            weights=num_types * channels + num_l * num_radial * channels,
            per_atom=channels * (num_l**2 + points),
            tables=points * num_l**2,
        )
    else:
        growing = (
            f"{angular}, 'max_radial', or the number of atomic types, {num_types}; "
            "'species: {type: tensor_reduced}' does not grow with it"
        )
        invariants = num_l * num_radial**2 * num_types * (num_types + 1) // 2
        density = Part("power spectrum", growing, per_atom=num_l * channels**2)

    num_hidden = hypers["network"]["num_hidden_layers"]
    weights = 2 * invariants + (invariants + 1) * width
    weights += (num_hidden - 1) * (width + 1) * width
    if hypers["network"]["center_type"] == "separate":
        weights *= num_types
    else:
        weights += 2 * num_types * width
    parts = [
        density,
        Part(
            "network",
            f"'num_neurons_per_layer' ({width}) or 'num_hidden_layers' ({num_hidden}) "
            f"of 'model.network', or the number of invariants, {invariants}: {growing}",
            weights=weights,
            per_atom=invariants + width * num_hidden,
        ),
    ]
    messages = hypers["messages"]
    if messages["layers"] > 0:
        c, num_ranks = messages["channels"], messages["max_rank"] + 1
        components = num_ranks**2
        if messages["representation"] == "cartesian":
            components = (3**num_ranks - 1) // 2
        parts.append(
            Part(
                "messages",
                "'channels', 'max_rank' or 'layers' of 'model.messages'",
                weights=messages["layers"]
                * (
                    (num_l + 2 * num_ranks) * channels * c
                    + ((num_l + 1) * c + 1) * GATE_WIDTH
                    + (GATE_WIDTH + 1) * num_ranks * c
                    + num_radial * c
                ),
                per_atom=messages["layers"] * 2 * c * components**2,
                tables=components**3,
            )
        )
    neighbors = hypers["tensor_basis"]["neighbors"]
    if neighbors is not None:
        parts.append(
            Part(
                "neighbor sum",
                "'neighbors' of 'model.tensor_basis'",
                weights=(2 * width + num_radial + neighbors + 2) * neighbors,
                per_atom=num_l**2 * neighbors,
            )
        )
    return parts


def _of_targets(hypers: ModelHypers, info: DatasetInfo) -> List[Part]:
    """Tensors and coefficients, of atoms and of pairs of atoms."""
    width = hypers["network"]["num_neurons_per_layer"]
    num_inputs = _num_inputs(hypers, len(info.atomic_types))
    num_inputs += hypers["tensor_basis"]["neighbors"] or 0
    pair_channels = hypers["atom_pairs"]["num_channels"]
    num_l = hypers["expansion"]["basis"]["max_angular"] + 1
    parts: List[Part] = []
    for of_pairs in (False, True):
        inputs = 3 * pair_channels if of_pairs else num_inputs
        symmetries: Set[Irrep] = set()
        coefficients = 0
        targets = {
            name: target
            for name, target in info.targets.items()
            if (target.sample_kind == "atom_pair") == of_pairs
        }
        for name, target in targets.items():
            symmetry = hypers["index_symmetry"].get(name)
            irreps = target_irreps(name, target, symmetry)
            coefficients += (width + 1) * width
            for of_block, block in zip(irreps, target.layout.blocks(), strict=True):
                symmetries |= set(of_block.irreps)
                for irrep in of_block.irreps:
                    num_tensors, _ = _tensors(irrep, hypers, inputs)
                    coefficients += width * num_tensors * len(block.properties)
        whose = " of pairs" if of_pairs else ""
        parts.append(_of_symmetries(f"tensors{whose}", symmetries, hypers, inputs))
        parts.append(
            Part(
                f"coefficients{whose}",
                "'num_channels' of 'model.tensor_basis', 'num_neurons_per_layer' of "
                "'model.network', or the number of properties of the targets",
                weights=coefficients,
            )
        )
        if of_pairs and len(targets) > 0:
            num_radial = hypers["expansion"]["basis"]["radial"]["max_radial"] + 1
            num_scalars = num_radial + 3 * pair_channels * num_l
            parts.append(
                Part(
                    "pairs of atoms",
                    "'num_channels' of 'model.atom_pairs'",
                    weights=(2 * num_l * num_inputs + num_radial) * pair_channels
                    + 3 * width**2
                    + 2 * width
                    + (width + 2) * num_scalars,
                    per_atom=3 * pair_channels * num_l**2,  # and more for every pair
                )
            )
    return parts


def _of_symmetries(
    name: str, symmetries: Set[Irrep], hypers: ModelHypers, num_inputs: int
) -> Part:
    """The tensors of all symmetries that targets need."""
    basis = hypers["tensor_basis"]
    max_angular = hypers["expansion"]["basis"]["max_angular"]
    weights, per_atom, tables = 0, 0, 0
    tensors = symmetries - {Irrep(0, 1)}
    if basis["pairs"] == "all" and len(tensors) > 0:
        weights += 2 * max_angular * num_inputs * basis["num_channels"]
        points = _num_points(2 * max_angular + max(tensors).o3_lambda)
        per_atom += 2 * basis["num_channels"] * points
        tables += points * (max_angular + 1) ** 2
    for irrep in tensors:
        num_tensors, of_irrep = _tensors(irrep, hypers, num_inputs)
        weights += of_irrep
        per_atom += (2 * irrep.o3_lambda + 1) * num_tensors
        per_atom += (basis["gradients"] or 0) ** 2
    growing = "'num_channels' or 'gradients' of 'model.tensor_basis', or 'max_angular'"
    return Part(name, growing, weights, per_atom, tables)


def _tensors(irrep: Irrep, hypers: ModelHypers, num_inputs: int) -> Tuple[int, int]:
    """How many tensors of a symmetry there are, and how many weights they have."""
    if irrep == Irrep(0, 1):
        return 1, 0
    basis: TensorBasisHypers = hypers["tensor_basis"]
    max_angular = hypers["expansion"]["basis"]["max_angular"]
    c = basis["num_channels"]
    is_pseudo = irrep.o3_sigma == -1
    # kind -> number of tensors, of weights
    kinds: Dict[str, Tuple[int, int]] = {}
    if basis["vectors"]:
        kinds["vectors"] = (2 * irrep.o3_lambda + 1, 3 * num_inputs)
    if basis["density"] and not is_pseudo:
        kinds["density"] = (c, num_inputs * c)
    if basis["pairs"] == "all":
        kinds["products"] = (c, 0)
        if irrep == Irrep(0, -1):
            kinds["products"] = (max_angular * c, max_angular * num_inputs * c)
        elif is_pseudo and irrep.o3_lambda > 1:
            kinds["axial"] = (c, c * c + num_inputs * c)
    elif basis["pairs"] == "maximal" or (basis["density"] and is_pseudo):
        total = irrep.o3_lambda + (1 if is_pseudo else 0)
        pairs = [l for l in range(1, total // 2 + 1) if total - l <= max_angular]
        kinds["maximal"] = (len(pairs) * c, 2 * len(pairs) * num_inputs * c)
        if irrep == Irrep(0, -1):
            kinds["maximal"] = (c, 3 * num_inputs * c)
    num_tensors = sum(number for number, _ in kinds.values())
    weights = sum(of_kind for _, of_kind in kinds.values())
    gradients = basis["gradients"]
    if gradients is not None:
        weights += num_tensors * gradients + (gradients**2 + 2) * NUM_HIDDEN
        num_tensors += gradients
    return num_tensors, weights
