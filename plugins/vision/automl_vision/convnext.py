"""ConvNeXt block: a transformer block whose attention is a depthwise convolution."""

from __future__ import annotations

from torch import Tensor, nn

from automl import elastic
from automl.space import SizeLike
from automl_vision.activation import activation_layer
from automl_vision.initialisation import initialise_transformer
from automl_vision.layer_scale import LayerScale
from automl_vision.options import Counts, count_option, kernel_option
from automl_vision.patch_merging import patch_merging

__all__ = ["ConvNeXtBlock"]


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution, layer norm and a pointwise MLP, scaled and added to the input.

    ``y = z + scale * contract(act(expand(norm(depthwise_k(z)))))``, where ``z`` is the input, or its merged patches where width
    or resolution change. Hidden units are ordered: a smaller ratio uses a prefix of the units of a larger one.

    Args:
        inp: width of the input, in channels.
        out: width of the output, in channels.
        stride: step between output pixels, in input pixels.
        kernel: edge length of the depthwise kernel, in pixels; several odd lengths are searched.
        ratio: hidden width of the MLP divided by ``out``; several ratios are searched.
        layer_scale: value that the factor of each channel starts from.
        activation: name of the activation: ``gelu``, ``hardswish``, ``relu`` or ``silu``.

    Shape:
        x: ``[N, inp, H, W]``. Returns ``[N, out, ceil(H / stride), ceil(W / stride)]``.

    Cost:
        ``out * (k² + 2 * ratio * out)`` multiply-accumulates for each output pixel; merging patches adds
        ``(2 * stride - 1)² * inp * out``.

    Raises:
        SpaceError: an even kernel, a ratio below 1 or an unknown activation.

    Source:
        Liu et al. 2022, arXiv:2201.03545, section 2 and figure 4. Deviations: overlapping patches in front of a block that
        changes the shape; factors start at 0.1 (CaiT's value for shallow networks), not at 1e-6; no stochastic depth.

    Example:
        >>> ConvNeXtBlock(8, 12, stride=2)(torch.randn(2, 8, 5, 7)).shape
        torch.Size([2, 12, 3, 4])
    """

    def __init__(
        self,
        inp: SizeLike,
        out: SizeLike,
        *,
        stride: int = 1,
        kernel: Counts = (3, 5, 7),
        ratio: Counts = (2, 3, 4),
        layer_scale: float = 0.1,
        activation: str = "gelu",
    ) -> None:
        super().__init__()
        self.kernel = kernel_option("kernel", kernel)
        self.ratio = count_option("ratio", ratio)
        hidden = out * self.ratio
        self.merging = patch_merging(inp, out, stride)
        self.depthwise = elastic.Conv2d(out, out, self.kernel, depthwise=True)
        self.norm = elastic.LayerNorm(out)
        self.expand = elastic.Linear(out, hidden)
        self.act = activation_layer(activation)
        self.contract = elastic.Linear(hidden, out)
        self.scale = LayerScale(out, initial=layer_scale)
        initialise_transformer(self)

    def forward(self, x: Tensor) -> Tensor:
        """Applies the block."""
        z: Tensor = self.merging(x)
        pixels = self.depthwise(z).permute(0, 2, 3, 1)  # channels last, as layer norm and linear layers take them
        branch: Tensor = self.scale(self.contract(self.act(self.expand(self.norm(pixels)))))
        return z + branch.permute(0, 3, 1, 2)
