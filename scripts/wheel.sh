#!/usr/bin/env bash
# Build the source distribution and from it the wheel, install this in a new environment,
# and use it as in the quickstart. For a release: PYTHON=python3.13 scripts/wheel.sh
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}
unset PYTHONPATH
project=$PWD
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

"$PYTHON" -m venv "$folder/venv"
. "$folder/venv/bin/activate"
export PIP_DISABLE_PIP_VERSION_CHECK=1
pip install --quiet build
rm -rf dist
python -m build --outdir dist .
# torch first and exactly: any looser requirement may download another build
pip install --quiet "$(grep '^torch==' constraints.txt)"
pip install --quiet --constraint constraints.txt "$(echo dist/*.whl)[ase]"
pip check

cp -r options data "$folder"
cd "$folder"
mtt train options/molecules.yaml -o molecules.pt
mtt export molecules.ckpt -o exported.pt
scalar-tensor export molecules.ckpt --outputs energy -o energy.pt
python - <<'END'
import ase.build
from metatrain_scalar_tensor.simulation import TensorCalculator

for path in ("molecules.pt", "exported.pt"):
    atoms = ase.build.molecule("H2CO")
    atoms.calc = TensorCalculator(path, dipole="mtt::mu")
    print(path, atoms.get_potential_energy(), "eV", atoms.get_dipole_moment(), "e Å")
END
python --version
ls -l "$project/dist"
