"""Many molecules at once with TorchSim: one evaluation for each step of all of them.

::

    python torchsim.py structures.xyz --ensemble nvt    # writes torchsim-0.h5, ...

Needs Python 3.12 and ``pip install metatomic-torchsim``.
"""

import argparse
from typing import Callable, Dict

import ase.io
import torch
import torch_sim as ts
from metatomic.torch import ModelOutput
from metatomic_torchsim import MetatomicModel


INTEGRATORS = {"nve": ts.Integrator.nve, "nvt": ts.Integrator.nvt_langevin}
Property = Callable[[ts.SimState, MetatomicModel], torch.Tensor]


def energy(state: ts.SimState, model: MetatomicModel) -> torch.Tensor:
    """Potential energies of the structures, eV."""
    return state.energy


def total_energy(state: ts.SimState, model: MetatomicModel) -> torch.Tensor:
    """Potential and kinetic energies of the structures, eV."""
    return state.energy + ts.calc_kinetic_energy(
        masses=state.masses, momenta=state.momenta, system_idx=state.system_idx
    )


def additional_output(name: str) -> Property:
    """A tensor of every structure, in the unit of the model."""

    def evaluate(state: ts.SimState, model: MetatomicModel) -> torch.Tensor:
        model(state)  # trajectories are written one by one: not those of the last step
        return model.additional_outputs[name].block().values[..., 0].detach()

    return evaluate


def main() -> None:
    """Integrate, and write a trajectory of each structure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("structures", help="file that ASE reads")
    parser.add_argument("--model", default="ethanol.pt", help="model of the energy")
    parser.add_argument("--outputs", nargs="*", default=[], help="e.g. mtt::mu")
    parser.add_argument("--number", type=int, default=10, help="of structures")
    parser.add_argument("--ensemble", choices=INTEGRATORS, default="nvt")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--stride", type=int, default=10, help="steps between frames")
    parser.add_argument(
        "--atoms", type=int, default=1000, help="in one evaluation, at most"
    )
    arguments = parser.parse_args()

    request = {name: ModelOutput(sample_kind="system") for name in arguments.outputs}
    model = MetatomicModel(
        arguments.model,
        compute_stress=False,  # molecules have no cell
        additional_outputs=request,
    )
    properties: Dict[str, Property] = {"energy": energy, "total_energy": total_energy}
    properties |= {name.split("::")[-1]: additional_output(name) for name in request}
    frames = ase.io.read(arguments.structures, f":{arguments.number}")
    state = ts.initialize_state(frames, model.device, model.dtype)
    state.rng = 1
    final = ts.integrate(
        state,
        model,
        integrator=INTEGRATORS[arguments.ensemble],
        n_steps=arguments.steps,
        temperature=300.0,  # K
        timestep=0.0005,  # ps
        autobatcher=ts.BinningAutoBatcher(
            model, memory_scales_with="n_atoms", max_memory_scaler=arguments.atoms
        ),
        trajectory_reporter={
            "filenames": [f"torchsim-{i}.h5" for i in range(len(frames))],
            "state_frequency": arguments.stride,
            "state_kwargs": {"save_forces": True},
            "prop_calculators": {arguments.stride: properties},
            "trajectory_kwargs": {"coerce_to_float32": False, "mode": "w"},
        },
    )
    total = total_energy(final, model)
    for i, (potential, both) in enumerate(zip(final.energy, total)):
        print(f"torchsim-{i}.h5: {potential:.5f} eV, with kinetic {both:.5f} eV")


if __name__ == "__main__":
    main()
