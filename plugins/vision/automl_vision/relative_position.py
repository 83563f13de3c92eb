"""Relative position bias for maps of any size: one learned number for each head and offset between two pixels."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from automl import elastic
from automl.space import SizeLike

__all__ = ["RelativePositionBias"]


class RelativePositionBias(nn.Module):
    """Bias of attention scores that depends on how far apart two pixels are.

    ``bias[h, i, j] = table[clip(row_j - row_i), clip(column_j - column_i), h]``. Offsets beyond ``reach`` are clipped, so the
    table has one size and the map may have any.

    Args:
        heads: number of attention heads.
        reach: largest distance along an axis that is told apart, in pixels.

    Shape:
        Returns ``[heads, H * W, H * W]`` (queries, then keys, both row by row) for a map of ``H`` by ``W`` pixels.

    Source:
        Liu et al. 2021 (Swin), arXiv:2103.14030, equation 4; clipping: Shaw et al. 2018, arXiv:1803.02155, section 3.2.

    Example:
        >>> RelativePositionBias(4, reach=3)(5, 7).shape
        torch.Size([4, 35, 35])
    """

    def __init__(self, heads: SizeLike, *, reach: int = 7) -> None:
        super().__init__()
        self.reach = reach
        self.table = elastic.Embedding((2 * reach + 1) ** 2, heads)

    def forward(self, height: int, width: int) -> Tensor:
        """Returns the bias of all pairs of pixels."""
        rows, columns = self._offsets(height), self._offsets(width)
        entry = rows[:, None, :, None] * (2 * self.reach + 1) + columns[None, :, None, :]
        bias: Tensor = self.table(entry.reshape(height * width, height * width))
        return bias.permute(2, 0, 1)

    def _offsets(self, length: int) -> Tensor:
        place = torch.arange(length, device=self.table.weight.device)
        return (place[None, :] - place[:, None]).clamp(-self.reach, self.reach) + self.reach

    def extra_repr(self) -> str:
        """Returns the arguments."""
        return f"reach={self.reach}"
