"""Targets that are symmetric under exchange of two atoms, or of two indices."""

from typing import Any, Dict, List, Literal, Optional

import torch
from metatensor.torch import Labels, TensorMap
from metatrain.utils.data import TargetInfo


Exchange = Literal["symmetric", "antisymmetric", "none"]


def is_product(layout: TensorMap) -> bool:
    """Whether a target is a matrix between two sets of irreps, like a Hamiltonian."""
    properties = layout.block(0).properties.names
    return "o3_lambda_1" in layout.keys.names or "l_1" in properties


def _exchanged(labels: Labels) -> Labels:
    """The labels with the values of ``..._1`` and ``..._2`` exchanged."""
    names = labels.names
    columns = list(range(len(names)))
    for i, name in enumerate(names):
        if name.endswith("_1"):
            j = names.index(name[:-1] + "2")
            columns[i], columns[j] = j, i
    return Labels(names, labels.values[:, columns])


class _Properties(torch.nn.Module):
    """Maps the properties of a block to those of its partner, with a sign."""

    place: torch.Tensor  # (properties,)
    sign: torch.Tensor  # (properties,)

    def __init__(self, place: torch.Tensor, sign: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("place", place, persistent=False)
        self.register_buffer("sign", sign, persistent=False)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Reorder the last axis of ``values``."""
        return values.index_select(values.dim() - 1, self.place) * self.sign


class ExchangeSymmetry(torch.nn.Module):
    r"""Projects a target on its part that is exactly symmetric under exchange.

    .. math::
        H_{ij}(T) \leftarrow \tfrac12 \left( H_{ij}(T) \pm H_{ji}(-T)^T \right)

    for a pair of atoms :math:`i`, :math:`j` with the cell shift :math:`T`. For an atom
    or a structure it is the symmetric part of its own matrix. In coupled form, the
    exchange of two irreps gives a sign, :math:`\langle l_1 m_1 l_2 m_2 | \lambda \mu
    \rangle = (-1)^{l_1 + l_2 - \lambda} \langle l_2 m_2 l_1 m_1 | \lambda \mu \rangle`.

    :param name: name of the target, for the error message.
    :param layout: layout of the target, in dense form for atomic-basis targets.
    :param exchange: ``symmetric`` or ``antisymmetric``.
    :raises ValueError: if a block of a matrix has no transposed block.
    """

    partner: List[int]  # for every block, the index of its transpose

    def __init__(self, name: str, layout: TensorMap, exchange: Exchange) -> None:
        super().__init__()
        keys = _exchanged(layout.keys)
        factor = {"symmetric": 1.0, "antisymmetric": -1.0}[exchange]
        self.partner = []
        properties: List[torch.nn.Module] = []
        for key, block in zip(keys, layout.blocks(), strict=True):
            partner = layout.keys.position(key)
            place = torch.tensor([-1])
            if partner is not None:
                self.partner.append(partner)
                place = layout.block(partner).properties.select(
                    _exchanged(block.properties)
                )
            if len(place) != len(block.properties) or (place < 0).any():
                raise ValueError(
                    f"target '{name}' has no block that is the transpose of "
                    f"{key.print()}: set 'model.exchange_symmetry' of it to 'none'"
                )
            sign = torch.full([len(place)], factor, dtype=torch.float64)
            if "l_1" in block.properties.names:
                l1, l2 = (block.properties.column(f"l_{i}") for i in (1, 2))
                sign *= (-1.0) ** (l1 + l2 - int(key["o3_lambda"])).abs()
            properties.append(_Properties(place, sign))
        self.properties = torch.nn.ModuleList(properties)

    def forward(
        self, blocks: List[torch.Tensor], opposite: Optional[torch.Tensor]
    ) -> List[torch.Tensor]:
        """Symmetrise the values.

        :param blocks: for every block, ``(samples, *components, properties)``
        :param opposite: index of each pair with its atoms exchanged, ``(samples,)``;
            ``None`` if samples are not pairs.
        :return: the symmetric blocks, with the same shapes.
        """
        symmetric: List[torch.Tensor] = []
        for block, other in zip(blocks, self.exchanged(blocks, opposite)):
            symmetric.append(0.5 * (block + other))
        return symmetric

    @torch.jit.export
    def exchanged(
        self, blocks: List[torch.Tensor], opposite: Optional[torch.Tensor]
    ) -> List[torch.Tensor]:
        """What the values are according to those with both indices exchanged.

        :param blocks: as in :meth:`forward`.
        :param opposite: as in :meth:`forward`.
        :return: the blocks, with the same shapes.
        """
        exchanged: List[torch.Tensor] = []
        for i, properties in enumerate(self.properties):
            other = blocks[self.partner[i]]
            if opposite is not None:
                other = other.index_select(0, opposite)
            # exchange the components of the two indices
            axes = list(range(1, other.dim() - 1))
            axes.reverse()
            other = other.permute([0] + axes + [other.dim() - 1])
            exchanged.append(properties(other))
        return exchanged

    @torch.jit.unused
    def of_sizes(self, sizes: List[torch.Tensor]) -> List[torch.Tensor]:
        """Give exchanged properties the same size, the root mean square of the two.

        :param sizes: for every block, ``(properties,)``
        :return: the symmetric sizes, with the same shapes.
        """
        symmetric: List[torch.Tensor] = []
        properties: Any  # mypy takes its buffers for modules
        for i, properties in enumerate(self.properties):
            other = sizes[self.partner[i]][properties.place]
            symmetric.append((0.5 * (sizes[i] ** 2 + other**2)).sqrt())
        return symmetric


def exchange_symmetry(
    name: str, info: TargetInfo, choices: Dict[str, Exchange]
) -> Optional[ExchangeSymmetry]:
    """The exchange symmetry of a target; ``None`` if it has none.

    :param name: name of the target.
    :param info: the target, in dense form for atomic-basis targets.
    :param choices: the option ``exchange_symmetry``.
    :raises ValueError: as :class:`ExchangeSymmetry`.
    """
    exchange = choices.get(name, "symmetric" if is_product(info.layout) else "none")
    return None if exchange == "none" else ExchangeSymmetry(name, info.layout, exchange)
