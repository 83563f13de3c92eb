"""Binary cells and the operator that is made commutative from them."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from automl import elastic
from automl.space import SizeLike

__all__ = ["CELLS", "BilinearCell", "CommutativeOperator", "PerceptronCell"]


@final
class PerceptronCell(nn.Module):
    """``g(x, y) = W relu(U x + V y + b) + c``.

    Args:
        width: width of the states, in features.
    """

    def __init__(self, width: SizeLike) -> None:
        super().__init__()
        self.first = elastic.Linear(width, width)
        self.second = elastic.Linear(width, width, bias=False)
        self.out = elastic.Linear(width, width)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Returns the new states ``(rows, width)``."""
        states: Tensor = self.out(torch.relu(self.first(x) + self.second(y)))
        return states


@final
class BilinearCell(nn.Module):
    """``g(x, y) = x + y + W (U x * V y)``: the sum and a learned correction that both states decide.

    Args:
        width: width of the states, in features.
    """

    def __init__(self, width: SizeLike) -> None:
        super().__init__()
        self.first = elastic.Linear(width, width)
        self.second = elastic.Linear(width, width)
        self.out = elastic.Linear(width, width, bias=False)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Returns the new states ``(rows, width)``."""
        states: Tensor = x + y + self.out(self.first(x) * self.second(y))
        return states


CELLS = {
    "gru": lambda width: elastic.GRUCell(width, width),
    "mlp": PerceptronCell,
    "bilinear": BilinearCell,
}


@final
class CommutativeOperator(nn.Module):
    """``a + b = (g(a, b) + g(b, a)) / 2`` with a learned cell g; the order of the two states cannot matter.

    Args:
        width: width of the states, in features.
        cell: ``gru``, ``mlp`` or ``bilinear``.

    Shape:
        a, b: ``(rows, width)``. Returns ``(rows, width)``.

    Cost:
        Two evaluations of the cell for each row.
    """

    def __init__(self, width: SizeLike, cell: str = "gru") -> None:
        super().__init__()
        self.cell = CELLS[cell](width)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Returns the combined states."""
        states: Tensor = (self.cell(a, b) + self.cell(b, a)) / 2
        return states
