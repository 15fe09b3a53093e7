"""Errors and parity plots of predictions that ``mtt eval`` wrote.

::

    python scripts/parity.py test.xyz predictions mtt::mu=mu --units "e Å"

compares ``atoms.info["mu"]`` of ``test.xyz`` with ``predictions_mtt::mu.mts``.
"""

import argparse
from typing import Tuple

import ase.io
import matplotlib
import metatensor as mts
import numpy as np


matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402


def rmse_and_percentage(
    predicted: np.ndarray, reference: np.ndarray
) -> Tuple[float, float]:
    """Root mean squared error, as it is and in % of the standard deviation.

    :param predicted: ``(structures, components)``
    :param reference: ``(structures, components)``
    :return: both errors, over structures and components. The standard deviation is that
        of the reference around the mean of every component.
    """
    rmse = np.sqrt(np.mean((predicted - reference) ** 2))
    deviation = np.sqrt(np.mean((reference - reference.mean(0)) ** 2))
    return float(rmse), float(100 * rmse / deviation)


def main() -> None:
    """Print the errors and draw the plot."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("structures", help="extxyz file with the reference values")
    parser.add_argument("predictions", help="file name given to mtt eval, without .mts")
    parser.add_argument("targets", nargs="+", help="name of a target = key in the file")
    parser.add_argument("--units", nargs="+", required=True, help="unit of each target")
    parser.add_argument("--output", default="parity.png", help="picture to write")
    arguments = parser.parse_args()
    if len(arguments.units) != len(arguments.targets):
        parser.error("give one unit for each target")

    frames = ase.io.read(arguments.structures, ":")
    figure, axes = plt.subplots(
        1,
        len(arguments.targets),
        figsize=(4.2 * len(arguments.targets), 4.2),
        squeeze=False,
        layout="constrained",
    )
    print(f"\nTest set: {len(frames)} structures of {arguments.structures}")
    for axis, target, unit in zip(axes[0], arguments.targets, arguments.units):
        name, key = target.split("=")
        tensor = mts.load(f"{arguments.predictions}_{name}.mts")
        predicted = tensor.block().values.reshape(len(frames), -1)
        reference = np.array([frame.info[key].reshape(-1) for frame in frames])
        rmse, percentage = rmse_and_percentage(predicted, reference)
        print(
            f"{name:12s} RMSE {rmse:8.4f} {unit}   {percentage:5.2f} % of the std. dev."
        )

        limits = [reference.min(), reference.max()]
        margin = 0.05 * (limits[1] - limits[0])
        limits = [limits[0] - margin, limits[1] + margin]
        axis.plot(limits, limits, color="0.6", linewidth=1, zorder=0)
        axis.scatter(reference, predicted, s=12, alpha=0.6, edgecolors="none")
        axis.set(
            xlabel=f"reference ({unit})",
            ylabel=f"predicted ({unit})",
            title=f"{name}\nRMSE {rmse:.3g} {unit}, {percentage:.1f} % of std. dev.",
            xlim=limits,
            ylim=limits,
            aspect="equal",
        )
    figure.savefig(arguments.output, dpi=150)
    print(f"Parity plot: {arguments.output}")


if __name__ == "__main__":
    main()
