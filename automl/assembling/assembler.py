"""The generative assembler: task and budget in, gate logits out."""

from __future__ import annotations

import itertools
from typing import Final, final

import torch
from torch import Tensor, nn

__all__ = ["Assembler"]


@final
class Assembler(nn.Module):
    """Maps a task and the allowed share of the cost to logits of all gates.

    ``logits = MLP([task ; share])``. What the logits open is decided outside, by ``DimensionGates`` or ``module_gates``.

    Args:
        codes: width of the task code, such as the number of classes.
        gates: number of gates.
        width: units of the hidden layers.
        depth: number of hidden layers.

    Shape:
        task: ``(n, codes)``, multi-hot over the classes.
        share: ``(n,)`` from 0 to 1.
        Returns ``(n, gates)``.

    Source:
        Xu et al. 2023, NN-Factory, arXiv:2308.15003 (abstract: a generative module assembler driven by task and sparsity).
        Layout: own choice, as the abstract names none.

    Example:
        >>> assembler = Assembler(codes=10, gates=24)
        >>> assembler(torch.zeros(3, 10), torch.ones(3)).shape
        torch.Size([3, 24])
    """

    def __init__(self, codes: int, gates: int, *, width: int = 128, depth: int = 2) -> None:
        super().__init__()
        widths = [codes + 1, *[width] * depth]
        hidden = [layer for a, b in itertools.pairwise(widths) for layer in (nn.Linear(a, b), nn.ReLU())]
        self.layers: Final = nn.Sequential(*hidden, nn.Linear(width, gates))

    def forward(self, task: Tensor, share: Tensor) -> Tensor:
        """Returns the logits of the gates."""
        logits: Tensor = self.layers(torch.cat([task, share[:, None]], 1))
        return logits
