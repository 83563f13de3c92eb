"""Change of width and resolution in front of blocks that normalise first (ConvNeXt, attention)."""

from __future__ import annotations

from torch import Tensor, nn

from automl import elastic
from automl.space import SizeLike
from automl_vision.shortcut import keeps_shape

__all__ = ["ChannelLayerNorm", "patch_merging"]


def patch_merging(inp: SizeLike, out: SizeLike, stride: int) -> nn.Module:
    """Returns the identity where the shape is kept, else a convolution with overlapping patches and layer norm.

    Patches of edge ``2 * stride - 1`` are centred, so that a map of edge ``n`` becomes one of edge ``ceil(n / stride)``, the
    same as behind every other block: candidates of a slot can be exchanged and slots can be summed at any map size. The
    norm comes last, since over the one channel of a grey image it would leave nothing.

    Source:
        Wang et al. 2022 (PVT v2), arXiv:2106.13797, section 3.3.
    """
    if keeps_shape(inp, out, stride):
        return nn.Identity()
    return nn.Sequential(elastic.Conv2d(inp, out, 2 * stride - 1, stride=stride), ChannelLayerNorm(out))


class ChannelLayerNorm(nn.Module):
    """Layer norm over the channels of each pixel.

    Args:
        width: number of channels.

    Shape:
        x: ``[N, C, H, W]``. Returns the same shape.
    """

    def __init__(self, width: SizeLike) -> None:
        super().__init__()
        self.norm = elastic.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """Normalises each pixel."""
        y: Tensor = self.norm(x.permute(0, 2, 3, 1))
        return y.permute(0, 3, 1, 2)
