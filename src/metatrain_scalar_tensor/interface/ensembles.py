"""Outputs of ensembles: their members, and the standard deviation of these.

Names and labels are those of metatrain's ``llpr``, and of metatomic for energies.
"""

from typing import Dict, List

import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import ModelOutput


def auxiliary_name(name: str, kind: str) -> str:
    """The name of an output that belongs to a target.

    :param name: name of the target.
    :param kind: ``ensemble``, ``uncertainty`` or ``last_layer_features``.
    """
    return f"mtt::aux::{name.replace('mtt::', '')}_{kind}"


def ensemble_outputs(name: str, output: ModelOutput) -> Dict[str, ModelOutput]:
    """The two outputs of an ensemble: its members and their standard deviation.

    They have metatomic's standard names for energies, auxiliary names for others.

    :param name: name of the target, ``energy/pbe`` for a variant.
    :param output: the output of the target.
    """
    base, slash, variant = name.partition("/")
    outputs: Dict[str, ModelOutput] = {}
    for kind, text in (
        ("ensemble", "predictions of the ensemble"),
        ("uncertainty", "standard deviation of the ensemble"),
    ):
        of_kind = auxiliary_name(name, kind)
        if base == "energy":
            of_kind = f"energy_{kind}{slash}{variant}"
        outputs[of_kind] = ModelOutput(
            unit=output.unit,
            sample_kind=output.sample_kind,
            description=f"{text} of {name}",
        )
    return outputs


def requested_ensembles(
    names: Dict[str, List[str]], outputs: Dict[str, ModelOutput]
) -> List[str]:
    """The targets of which any output of the ensemble is requested.

    :param names: for every target with an ensemble, the names of its outputs.
    :param outputs: the requested outputs.
    """
    targets: List[str] = []
    for target, of_target in names.items():
        for name in of_target:
            if name in outputs and target not in targets:
                targets.append(target)
    return targets


def ensemble_output(name: str, draws: List[TensorMap]) -> TensorMap:
    """One of the two outputs.

    :param name: name of the output.
    :param draws: the prediction, then the differences of the members from it.
    """
    base = name.split("/")[0]
    if base.endswith("_uncertainty") or name.endswith("_uncertainty"):
        return standard_deviation(draws[1:])
    return members(draws[0], draws[1:], base == "energy_ensemble")


def standard_deviation(differences: List[TensorMap]) -> TensorMap:
    r"""One number for all components of a sample, which rotations do not change.

    .. math::
        \sigma = \sqrt{\frac{1}{(M - 1) \, d} \sum_{m = 1}^M \sum_{c = 1}^d
            \delta_{mc}^2}

    The :math:`M` differences have a mean of zero.

    :param differences: of all members from the prediction.
    :return: blocks ``(samples, properties)``, without components.
    """
    first = differences[0]
    blocks: List[TensorBlock] = []
    for i, block in enumerate(first.blocks()):
        square = torch.zeros_like(block.values)
        for difference in differences:
            square = square + difference.block(i).values.pow(2)
        variance = square / (len(differences) - 1)
        variance = variance.unsqueeze(1).flatten(1, -2).mean(1)  # (samples, properties)
        blocks.append(TensorBlock(variance.sqrt(), block.samples, [], block.properties))
    return TensorMap(first.keys, blocks)


def members(
    prediction: TensorMap, differences: List[TensorMap], is_energy: bool
) -> TensorMap:
    """The predictions of all members, as properties.

    :param prediction: the prediction, their mean.
    :param differences: of the members from that.
    :param is_energy: whether metatomic prescribes the name of the property.
    :return: blocks ``(samples, *components, members · properties)``
    """
    blocks: List[TensorBlock] = []
    for i, block in enumerate(prediction.blocks()):
        values: List[torch.Tensor] = []
        numbers: List[torch.Tensor] = []
        of_block = block.properties.values  # (properties, names)
        for m, difference in enumerate(differences):
            values.append(block.values + difference.block(i).values)
            number = torch.full_like(of_block[:, :1], m)
            numbers.append(torch.cat([number, of_block], dim=1))
        labels = torch.cat(numbers)
        if is_energy:
            properties = Labels(["energy"], labels[:, :1])
        else:
            names = ["ensemble_member"] + block.properties.names
            properties = Labels(names, labels)
        blocks.append(
            TensorBlock(
                torch.cat(values, dim=-1), block.samples, block.components, properties
            )
        )
    return TensorMap(prediction.keys, blocks)
