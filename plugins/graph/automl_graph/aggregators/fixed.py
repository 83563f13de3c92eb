"""Sum, mean and maximum: commutative monoids that need no learning."""

from __future__ import annotations

from typing import Final, Literal, final

from torch import Tensor, nn

from automl_graph.pyg import scatter

__all__ = ["FixedAggregator"]


@final
class FixedAggregator(nn.Module):
    """Sum, mean or element-wise maximum of the messages of each destination; zeros where there are none.

    Args:
        reduce: which of them.

    Shape:
        messages: ``(messages, width)``; index: ``(messages,)``. Returns ``(size, width)``.
    """

    def __init__(self, reduce: Literal["sum", "mean", "max"]) -> None:
        super().__init__()
        self.reduce: Final = reduce

    def forward(self, messages: Tensor, index: Tensor, size: int) -> Tensor:
        """Returns the aggregated messages."""
        combined: Tensor = scatter(messages, index, dim=0, dim_size=size, reduce=self.reduce)
        return combined

    def extra_repr(self) -> str:
        """Returns the arguments."""
        return repr(self.reduce)
