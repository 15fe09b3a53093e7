"""Supervision of the invariant features by the invariants of the targets."""

from contextlib import contextmanager
from typing import Any, Dict, Iterator, Union

import torch
from metatensor.torch import TensorMap

from ..interface.architecture import ScalarTensor
from .documentation import TraceHypers


class TraceSupervision(torch.nn.Module):
    r"""An additional loss on the invariant features behind the coefficients.

    .. math::
        T = \frac{1}{d} \operatorname{tr} (Q Q^\dagger), \qquad
        L = w(t) \, \langle (T - W h)^2 \rangle

    for each block :math:`Q` of a target, with its number of components :math:`d`, the
    last-layer features :math:`h` of an atom or a pair, and a readout :math:`W` that is
    discarded after the training: TraceGrad, Yin et al., `arXiv:2405.05722
    <https://arxiv.org/abs/2405.05722>`_. The labels are computed from the targets, as
    they enter the loss, one for each sample.

    :param model: the model.
    :param hypers: weight, its schedule and the targets.
    :raises ValueError: if a target is not one of atoms or of pairs, since others have
        no features.
    """

    def __init__(self, model: ScalarTensor, hypers: TraceHypers) -> None:
        super().__init__()
        self.weight = hypers["weight"]
        self.is_linear = hypers["schedule"] == "linear"
        self.heads: Dict[str, Any] = {}  # not submodules of this module
        if self.weight > 0:
            self.heads.update(self._heads(model, hypers))
        self.readouts = torch.nn.ModuleDict(
            {
                name: torch.nn.ModuleList(
                    torch.nn.Linear(model.last_layer_feature_size, block.num_properties)
                    for block in head.blocks
                )
                for name, head in self.heads.items()
            }
        )
        self.features: Dict[str, torch.Tensor] = {}  # features of the last batch

    @staticmethod
    def _heads(model: ScalarTensor, hypers: TraceHypers) -> Dict[str, Any]:
        heads = model.model.heads()
        infos = model.dataset_info.targets
        possible = [name for name in heads if infos[name].sample_kind != "system"]
        wanted = possible if hypers["targets"] is None else hypers["targets"]
        if len(wanted) == 0 or not set(wanted) <= set(possible):
            raise ValueError(
                f"'training.trace_supervision' of the targets {wanted}: it needs "
                "targets of atoms or of pairs of atoms, and there are only "
                f"{possible}; set its 'targets', or its 'weight' to 0"
            )
        return {name: heads[name] for name in wanted}

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Context in which the features of a forward pass are kept."""

        def keep(name: str) -> Any:
            def hook(module: Any, inputs: Any, features: torch.Tensor) -> None:
                self.features[name] = features

            return hook

        hooks = [
            head.hidden.register_forward_hook(keep(name))
            for name, head in self.heads.items()
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()
            self.features.clear()

    def loss(
        self, targets: Dict[str, TensorMap], progress: float
    ) -> Union[torch.Tensor, float]:
        """The loss of the last batch.

        :param targets: targets of the batch, scaled; missing values are NaN.
        :param progress: completed fraction of the training.
        :return: the loss, with its weight.
        """
        total: Any = 0.0
        readouts: Any  # mypy does not know that it is iterable
        for name, readouts in self.readouts.items():
            if name not in targets:
                continue
            for readout, block in zip(readouts, targets[name].blocks(), strict=True):
                q = block.values.flatten(1, -2)  # (samples, components, properties)
                traces = q.pow(2).mean(1)  # (samples, properties)
                errors = readout(self.features[name]) - traces
                errors = errors[traces.isfinite()]
                if len(errors) > 0:
                    total = total + errors.pow(2).mean()
        return self.weight * (1.0 - progress if self.is_linear else 1.0) * total
