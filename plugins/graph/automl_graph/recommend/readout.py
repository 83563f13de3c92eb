"""Which vectors are scored after several layers, and a change of width before the first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn

from automl import elastic
from automl.space import SizeLike

__all__ = ["READOUTS", "adapter", "read_layers"]

READOUTS: Final = ("concat", "mean", "last", "sum")


def read_layers(layers: Sequence[Tensor], readout: str) -> Tensor:
    """Returns the vectors that are scored.

    Args:
        layers: vectors after 0, 1, ... layers, each ``(nodes, width)``.
        readout: ``concat``, ``mean``, ``last`` or ``sum``.

    Returns:
        ``(nodes, width)``, or ``(nodes, layers * width)`` for ``concat``.
    """
    if readout == "concat":
        return torch.cat(list(layers), dim=1)
    if readout == "last":
        return layers[-1]
    total = torch.stack(list(layers)).sum(0)
    return total / len(layers) if readout == "mean" else total


def adapter(inp: SizeLike, out: SizeLike) -> nn.Module:
    """Returns a linear layer where the two widths can differ, else nothing."""
    same = inp is out or (isinstance(inp, int) and isinstance(out, int) and inp == out)
    return nn.Identity() if same else elastic.Linear(inp, out, bias=False)
