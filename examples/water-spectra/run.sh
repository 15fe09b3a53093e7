#!/usr/bin/env bash
# Reference data, training, dynamics, spectra: the whole example.
set -euo pipefail
cd "$(dirname "$0")/../.."
. scripts/environment.sh spectra
cd examples/water-spectra
export OMP_NUM_THREADS=1  # the molecule is too small for threads: processes instead

python make_data.py
mtt train options.yaml
python simulate.py model.pt --temperature 30 -o dynamics-30K.npz &
python simulate.py model.pt --temperature 300 -o dynamics-300K.npz
wait $!
python spectra.py dynamics-30K.npz dynamics-300K.npz
