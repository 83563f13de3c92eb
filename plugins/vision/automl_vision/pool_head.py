"""Classifier of residual networks: global average pooling and one linear layer."""

from __future__ import annotations

from torch import Tensor, nn

from automl import elastic
from automl.space import SizeLike

__all__ = ["PoolHead"]


class PoolHead(nn.Module):
    """Linear classifier on the means of all channels.

    ``logits = linear(dropout(mean(x)))``.

    Args:
        inp: width of the input, in channels.
        out: number of classes.
        dropout: share of features set to zero while training.

    Shape:
        x: ``[N, inp, H, W]``. Returns logits ``[N, out]``.

    Cost:
        ``inp * out`` multiply-accumulates for each sample.

    Source:
        Lin et al. 2014, arXiv:1312.4400, section 3.2 (global average pooling); He et al. 2016, arXiv:1512.03385.

    Example:
        >>> PoolHead(8, 10)(torch.randn(2, 8, 5, 7)).shape
        torch.Size([2, 10])
    """

    def __init__(self, inp: SizeLike, out: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = elastic.Linear(inp, out)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the logits."""
        logits: Tensor = self.linear(self.dropout(x.mean((2, 3))))
        return logits
