"""Write Fock matrices of molecules and crystals as data of metatrain.

::

    python make_data.py train.zip --molecules water --number 400
    python make_data.py train.zip --geometry uracil.xyz --temperature 300 \
        --method pbe --basis def2-svp --options options.yaml
    python make_data.py train.zip --geometry hydrogen-chain.xyz --kpoints 9 1 1
    python make_data.py train.zip --periodic

Geometries are vibrations at a temperature, or random displacements of every atom. The
file has the blocks of the Fock matrix in eV and of the overlap matrix. A run that was
interrupted continues when the command is repeated.
"""

import argparse
import itertools
from functools import partial
from typing import List

import ase
import numpy as np
from dataset import UnfinishedFile
from electronic import minimum
from geometries import MOLECULES, displaced, fingerprint, starting_points, thermal
from graphene import graphene
from options_file import write_options
from sources import Source, source_of


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", help="file to write, .zip")
    parser.add_argument("--molecules", nargs="+", default=[], choices=MOLECULES)
    parser.add_argument(
        "--geometry", nargs="+", default=[], help="files with structures, .xyz"
    )
    parser.add_argument(
        "--periodic", action="store_true", help="tight binding of graphene"
    )
    parser.add_argument(
        "--kpoints", nargs=3, type=int, help="odd numbers, for crystals from --geometry"
    )
    parser.add_argument("--method", default="hf", help="or pbe, b3lyp, ...")
    parser.add_argument("--basis", default="sto-3g")
    parser.add_argument(
        "--minus",
        choices=["minao"],
        help="subtract the Fock matrix of the superposition of atomic densities",
    )
    parser.add_argument("--number", type=int, default=100, help="geometries of each")
    sampling = parser.add_mutually_exclusive_group()
    sampling.add_argument("--temperature", type=float, help="of the vibrations in K")
    sampling.add_argument(
        "--displacement", type=float, default=0.05, help="standard deviation in Å"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--options", help="options file to write, .yaml")
    arguments = parser.parse_args()
    of_molecules = ("molecules", "temperature", "minus")
    excluded = {
        "periodic": (*of_molecules, "geometry", "kpoints"),
        "kpoints": of_molecules,
    }
    for crystal, names in excluded.items():
        for name in names:
            if getattr(arguments, crystal) and getattr(arguments, name):
                parser.error(f"--{crystal} takes no --{name}")
    if arguments.kpoints and any(n < 1 or n % 2 == 0 for n in arguments.kpoints):
        parser.error(f"--kpoints must be odd, not {arguments.kpoints}")
    if arguments.number < 1:
        parser.error(f"--number must be positive, not {arguments.number}")
    if arguments.temperature is not None:
        if arguments.temperature <= 0:
            parser.error(f"--temperature must be positive, not {arguments.temperature}")
        arguments.displacement = None
    if not (arguments.periodic or arguments.molecules or arguments.geometry):
        arguments.molecules = ["water"]
    return arguments


def main() -> None:
    """Write the file."""
    arguments = parsed()
    here = ("output", "options", "processes")  # do not change the content
    description = {k: v for k, v in vars(arguments).items() if k not in here}
    source = source_of(description)
    if arguments.periodic:
        starts = [graphene()]
    else:
        starts = starting_points(arguments.molecules, arguments.geometry)
        # what is in the files, of which there may be thousands, and not their names
        description["geometry"] = fingerprint(starts)
        if any(atoms.pbc.any() != bool(arguments.kpoints) for atoms in starts):
            raise ValueError("crystals need --kpoints, and molecules take none")
    irreps = {}
    for atoms in starts:
        irreps |= source.irreps(atoms)
    irreps = dict(sorted(irreps.items()))

    file = UnfinishedFile(arguments.output, description)
    frames = file.geometries(partial(sampled, arguments, source, starts))
    file.compute(source, frames, arguments.processes)
    if arguments.options:
        reach = file.reach(frames, irreps)
        write_options(arguments.options, arguments.output, irreps, reach)
    file.finish(frames, irreps)
    print(f"{len(frames)} structures in {arguments.output}; irreps:")
    for atom_type, shells in irreps.items():
        print(f"  {atom_type}: {shells}".replace("'", ""))


def sampled(
    arguments: argparse.Namespace, source: Source, starts: List[ase.Atoms]
) -> List[ase.Atoms]:
    """Geometries of all structures, in turn."""
    rng = np.random.default_rng(arguments.seed)
    if arguments.temperature is None:
        samplers = [displaced(a, arguments.displacement, rng) for a in starts]
    else:
        minima = [minimum(atoms, source) for atoms in starts]
        samplers = [thermal(m, source, arguments.temperature, rng) for m in minima]
    turns = itertools.product(range(arguments.number), samplers)
    return [next(sampler) for _, sampler in turns]


if __name__ == "__main__":
    main()
