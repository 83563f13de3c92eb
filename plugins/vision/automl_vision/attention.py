"""Transformer block on feature maps: every pixel attends to every other one."""

from __future__ import annotations

from torch import Tensor, nn

from automl import elastic
from automl.space import SizeLike
from automl_vision.activation import activation_layer
from automl_vision.initialisation import initialise_transformer
from automl_vision.options import Counts, count_option, fixed_option
from automl_vision.patch_merging import patch_merging
from automl_vision.relative_position import RelativePositionBias

__all__ = ["AttentionBlock"]


class AttentionBlock(nn.Module):
    """Pre-norm transformer block with relative position bias.

    ``z = z + attention(norm(z)); y = z + contract(act(expand(norm(z))))`` over the pixels of the map, or of its merged patches
    where width or resolution change. Heads and hidden units are ordered: fewer are a prefix of more.

    Args:
        inp: width of the input, in channels.
        out: width of the output, in channels.
        stride: step between output pixels, in input pixels.
        heads: number of heads; several are searched. ``heads * head_dim`` need not be ``out``.
        head_dim: width of one head, in features.
        ratio: hidden width of the MLP divided by ``out``; several ratios are searched.
        reach: largest distance along an axis that the position bias tells apart, in pixels.
        activation: name of the activation: ``gelu``, ``hardswish``, ``relu`` or ``silu``.

    Shape:
        x: ``[N, inp, H, W]``. Returns ``[N, out, ceil(H / stride), ceil(W / stride)]``.

    Cost:
        For ``p`` output pixels ``p * (2 * heads * head_dim * (2 * out + p) + 2 * ratio * out²)`` multiply-accumulates: it grows
        with the square of ``p``, so large maps belong to other blocks.

    Raises:
        SpaceError: heads, a width of heads, a reach or a ratio below 1, or an unknown activation.

    Source:
        Dosovitskiy et al. 2021, arXiv:2010.11929, equations 2 and 3; bias: Liu et al. 2021, arXiv:2103.14030, equation 4.
        Deviations: a fixed width of heads; offsets beyond ``reach`` are clipped.

    Example:
        >>> AttentionBlock(8, 12, stride=2)(torch.randn(2, 8, 5, 7)).shape
        torch.Size([2, 12, 3, 4])
    """

    def __init__(
        self,
        inp: SizeLike,
        out: SizeLike,
        *,
        stride: int = 1,
        heads: Counts = (2, 4),
        head_dim: int = 16,
        ratio: Counts = (2, 4),
        reach: int = 7,
        activation: str = "gelu",
    ) -> None:
        super().__init__()
        self.heads = count_option("heads", heads)
        self.ratio = count_option("ratio", ratio)
        head_dim, reach = fixed_option("head_dim", head_dim), fixed_option("reach", reach)
        hidden = out * self.ratio
        self.merging = patch_merging(inp, out, stride)
        self.attention_norm = elastic.LayerNorm(out)
        self.attention = elastic.MultiheadAttention(out, self.heads, head_dim=head_dim)
        self.position = RelativePositionBias(self.heads, reach=reach)
        self.mlp_norm = elastic.LayerNorm(out)
        self.mlp = nn.Sequential(elastic.Linear(out, hidden), activation_layer(activation), elastic.Linear(hidden, out))
        initialise_transformer(self)

    def forward(self, x: Tensor) -> Tensor:
        """Applies the block."""
        x = self.merging(x)
        height, width = x.shape[2:]
        pixels = x.flatten(2).transpose(1, 2)  # [N, H * W, C]
        bias = self.position(height, width)
        pixels = pixels + self.attention(self.attention_norm(pixels), attention_bias=bias)
        pixels = pixels + self.mlp(self.mlp_norm(pixels))
        y: Tensor = pixels.transpose(1, 2).unflatten(2, (height, width))
        return y
