"""A network that is a chain of segments: one value goes through all of them. Plain torch code."""

from __future__ import annotations

from collections.abc import Iterable
from typing import final

from torch import Tensor, nn

__all__ = ["ChainNetwork"]


@final
class ChainNetwork(nn.Module):
    """Segments in a row.

    Args:
        segments: the first takes the tuple of input tensors, each further one what the one before it gives.

    Shape:
        Positional input tensors; returns what the last segment gives.
    """

    def __init__(self, segments: Iterable[nn.Module]) -> None:
        super().__init__()
        self.segments = nn.Sequential(*segments)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Runs all segments."""
        result: Tensor = self.segments(inputs)
        return result
