"""Residual bottlenecks that convolve or attend, with a convolution as the position code of both: ResConv and ResAtt.

Source:
    Li et al. 2021 (BossNAS), arXiv:2103.12424, section 4; the position code: Chu et al. 2021, arXiv:2102.10882.
"""

from __future__ import annotations

from torch import Tensor, nn

from automl import elastic
from automl.space import SizeLike

__all__ = ["HybridBlock", "MapAttention", "bottleneck_body"]


class HybridBlock(nn.Module):
    """Enters a bottleneck at the resolution of its input or at half of it, and adds the shortcut.

    ``y = relu(body(position(reduce(x))) + shortcut(x))``. ``position`` is a depthwise 3x3 convolution, which tells attention
    where a pixel is, and halves the resolution where ``stride`` is 2.

    Args:
        inp: width of the input, in channels.
        middle: width of the bottleneck, in channels.
        out: width of the output, in channels.
        body: maps the bottleneck to the output; blocks that enter from another resolution may share it.
        stride: 1 or 2.

    Shape:
        x: ``[N, inp, H, W]``. Returns ``[N, out, ceil(H / stride), ceil(W / stride)]``.
    """

    def __init__(self, inp: SizeLike, middle: int, out: int, body: nn.Module, *, stride: int = 1) -> None:
        super().__init__()
        self.reduce = elastic.Conv2d(inp, middle, 1, bias=False)
        self.position = elastic.Conv2d(middle, middle, 3, stride=stride, groups=middle)
        self.body = body
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inp != out:
            kernel = 3 if stride > 1 else 1
            self.shortcut = nn.Sequential(
                elastic.Conv2d(inp, out, kernel, stride=stride, bias=False), elastic.BatchNorm2d(out)
            )
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Adds the body to the shortcut."""
        y: Tensor = self.act(self.body(self.position(self.reduce(x))) + self.shortcut(x))
        return y


class MapAttention(nn.Module):
    """Self-attention between all pixels of a map, without a position code of its own.

    Args:
        width: width of input and output, in channels.
        head_dim: width of a head; as many heads as fit into ``width``, and at least one.

    Shape:
        x: ``[N, width, H, W]``. Returns the same shape.
    """

    def __init__(self, width: int, *, head_dim: int) -> None:
        super().__init__()
        self.attention = elastic.MultiheadAttention(width, max(1, width // head_dim), head_dim=head_dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Attends from every pixel to every pixel."""
        pixels = self.attention(x.flatten(2).transpose(1, 2))  # [N, H * W, C]
        y: Tensor = pixels.transpose(1, 2).unflatten(2, x.shape[2:])
        return y


def bottleneck_body(kind: str, middle: int, out: int, head_dim: int) -> nn.Module:
    """Returns what follows the position code: norm, 3x3 convolution or attention, norm, 1x1 convolution, norm.

    The scale of the last norm starts at zero, so that a fresh block passes its shortcut on.

    Args:
        kind: ``"conv"`` or ``"att"``.
        middle: width of the bottleneck, in channels.
        out: width of the output, in channels.
        head_dim: width of an attention head, in channels.
    """
    attends = kind == "att"
    mixing = MapAttention(middle, head_dim=head_dim) if attends else elastic.Conv2d(middle, middle, 3, bias=False)
    last = elastic.BatchNorm2d(out)
    assert last.weight is not None  # affine by default
    nn.init.zeros_(last.weight)
    return nn.Sequential(
        elastic.BatchNorm2d(middle),
        nn.ReLU(),
        mixing,
        elastic.BatchNorm2d(middle),
        nn.ReLU(),
        elastic.Conv2d(middle, out, 1, bias=False),
        last,
    )
