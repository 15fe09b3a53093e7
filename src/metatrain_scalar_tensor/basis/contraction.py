"""Learned channels of the density."""

import torch


class Contraction(torch.nn.Linear):
    """Linear combinations of channels, initially as large as the channels.

    They are shared by all center types, which differ in their coefficients only.

    :param num_inputs: number of channels.
    :param num_outputs: number of learned channels.
    :param scale: size of the combinations, relative to the channels.
    """

    def __init__(self, num_inputs: int, num_outputs: int, scale: float = 1.0) -> None:
        super().__init__(num_inputs, num_outputs, bias=False)
        torch.nn.init.normal_(self.weight, std=scale * num_inputs**-0.5)
