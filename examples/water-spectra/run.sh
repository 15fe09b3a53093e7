#!/usr/bin/env bash
# Reference data, training, dynamics, spectra: the whole example.
set -euo pipefail
cd "$(dirname "$0")/../.."
. scripts/environment.sh spectra
cd examples/water-spectra

python make_data.py
mtt train options.yaml
for temperature in 30 300; do
    python simulate.py model.pt --temperature $temperature -o dynamics-${temperature}K.npz
done
python spectra.py dynamics-30K.npz dynamics-300K.npz
