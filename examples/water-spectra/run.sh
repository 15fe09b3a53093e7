#!/usr/bin/env bash
# Reference data, training, dynamics, spectra: the whole example.
set -euo pipefail
cd "$(dirname "$0")/../.."
. scripts/environment.sh spectra
cd examples/water-spectra
export OMP_NUM_THREADS=1  # the molecule is too small for threads: processes instead

python make_data.py
mtt train options.yaml
for temperature in 30 300; do
    (
        python simulate.py model.pt --temperature $temperature \
            -o dynamics-${temperature}K.traj
        scalar-tensor spectra dynamics-${temperature}K.traj --model model.pt \
            --dipole mtt::mu --polarizability mtt::alpha --atoms-per-molecule 3 \
            --timestep 0.5 --stride 4 --temperature $temperature \
            -o dynamics-${temperature}K.csv
    ) &
    jobs="${jobs:-} $!"
done
wait $jobs
python compare.py dynamics-30K.csv dynamics-300K.csv
