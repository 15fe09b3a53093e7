"""Structures, targets and models for the tests."""

import copy

import ase
import ase.io
import numpy as np
import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import ModelOutput, systems_to_torch
from metatrain.utils.architectures import get_default_hypers
from metatrain.utils.data import DatasetInfo
from metatrain.utils.data.target_info import get_generic_target_info
from metatrain.utils.neighbor_lists import (
    get_requested_neighbor_lists,
    get_system_with_neighbor_lists,
)

from files import DATA
from metatrain_scalar_tensor import ScalarTensor
from metatrain_scalar_tensor.density import Density, choose_species
from metatrain_scalar_tensor.structures import EdgeFunctions, StructureReader


TYPES = [1, 6, 7, 8]


def hypers(**changes):
    """The default model hypers, with changes given by dotted path."""
    result = copy.deepcopy(get_default_hypers("experimental.scalar_tensor")["model"])
    for path, value in changes.items():
        *parents, name = path.split("__")
        part = result
        for parent in parents:
            part = part[parent]
        part[name] = value
    return result


def target(type="scalar", sample_kind="atom", num_subtargets=1, unit=""):
    """Description of a target as in an options file."""
    return {
        "quantity": "",
        "unit": unit,
        "type": type,
        "sample_kind": sample_kind,
        "num_subtargets": num_subtargets,
    }


def spherical(*irreps, **kwargs):
    """Description of a spherical target with irreps (λ, σ)."""
    irreps = [
        {"o3_lambda": o3_lambda, "o3_sigma": sigma} for o3_lambda, sigma in irreps
    ]
    return target(type={"spherical": {"irreps": irreps}}, **kwargs)


def cartesian(rank, **kwargs):
    """Description of a Cartesian target."""
    return target(type={"cartesian": {"rank": rank}}, **kwargs)


def dataset_info(targets, atomic_types=TYPES):
    return DatasetInfo(
        length_unit="angstrom",
        atomic_types=atomic_types,
        targets={
            name: get_generic_target_info(name, info) for name, info in targets.items()
        },
    )


def make_model(targets, atomic_types=TYPES, seed=0, dtype=torch.float64, **changes):
    """An untrained model with random weights."""
    torch.manual_seed(seed)
    model = ScalarTensor(hypers(**changes), dataset_info(targets, atomic_types))
    model = model.to(dtype).eval()
    typical = cluster(20, atomic_types=atomic_types)
    typical.info = {"charge": 1, "spin_multiplicity": 2}
    model.calibrate([prepare(model, [typical], dtype)])
    return model


def molecules(number=2):
    """Molecules without any symmetry."""
    return ase.io.read(DATA / "qm7x_train.xyz", f":{number}")


def cluster(number, seed=0, atomic_types=TYPES):
    """Atoms at random places in a sphere, the first at its center."""
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(number, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    positions = directions * rng.uniform(1.0, 3.0, (number, 1))
    positions[0] = 0.0
    return ase.Atoms(rng.choice(atomic_types, number), positions)


def crystal(seed=0):
    """A periodic cell smaller than the cutoff."""
    rng = np.random.default_rng(seed)
    return ase.Atoms(
        "HCNO",
        positions=rng.uniform(0, 3, (4, 3)),
        cell=[[3.1, 0, 0], [0.4, 3.3, 0], [0.2, -0.3, 3.6]],
        pbc=True,
    )


def prepare(model, frames, dtype=torch.float64):
    """Systems with charge and spin, and the neighbor lists that the model asks for."""
    lists = get_requested_neighbor_lists(model)
    frames = list(frames)
    systems = systems_to_torch(frames, dtype=dtype)
    for system, frame in zip(systems, frames):
        for name in {"charge", "spin_multiplicity"} & set(frame.info):
            value = torch.tensor([[frame.info[name]]]).to(system.positions)
            labels = Labels.range("system", 1), Labels.range(name, 1)
            block = TensorBlock(value, labels[0], [], labels[1])
            system.add_data(name, TensorMap(Labels.single(), [block]))
    return [get_system_with_neighbor_lists(system, lists) for system in systems]


class Expansion(torch.nn.Module):
    """The density as a function of systems alone."""

    def __init__(self, expansion, engine, species=None):
        super().__init__()
        self.edges = EdgeFunctions(expansion)
        self.read = StructureReader(TYPES, self.edges.neighbor_list, closest=0.0)
        species = species or choose_species(hypers()["species"], len(TYPES))
        self.density = Density(expansion, TYPES, engine, species)
        self.double()

    def requested_neighbor_lists(self):
        return [self.edges.neighbor_list, *self.density.requested_neighbor_lists()]

    def forward(self, systems):
        return self.of_structures(self.read(systems))

    def of_structures(self, structures):
        edges = self.edges(structures.neighbor_list, structures.types)
        return self.density(structures, edges)

    def calibrate(self, systems):
        self.density.calibrate([self.read(systems)], self.of_structures)


def predict(model, frames, names, sample_kind="atom", selected_atoms=None):
    """The outputs of a model for some frames."""
    outputs = {name: ModelOutput(sample_kind=sample_kind) for name in names}
    dtype = next(model.parameters()).dtype
    return model(prepare(model, frames, dtype), outputs, selected_atoms)


def assert_same(first, second, path=""):
    """The same numbers, to the last bit."""
    assert type(first) is type(second), path
    if isinstance(first, dict):
        assert first.keys() == second.keys(), path
        for key in first:
            assert_same(first[key], second[key], f"{path}/{key}")
    elif isinstance(first, (list, tuple)):
        assert len(first) == len(second), path
        for i, (a, b) in enumerate(zip(first, second)):
            assert_same(a, b, f"{path}/{i}")
    elif path.endswith("type_to_index"):
        pass  # metatrain leaves the places of unknown types as the memory was
    elif isinstance(first, torch.Tensor):
        assert torch.equal(first, second), path
    elif isinstance(first, (int, float, str, type(None))):
        assert first == second, path
