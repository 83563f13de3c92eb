"""Mobile inverted bottleneck: the block of MobileNetV2, MobileNetV3, EfficientNet and once-for-all."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from automl import elastic
from automl.errors import SpaceError
from automl.space import SizeLike
from automl_vision.activation import activation_layer
from automl_vision.initialisation import initialise_convolutions
from automl_vision.options import Counts, count_option, kernel_option
from automl_vision.shortcut import keeps_shape
from automl_vision.squeeze_excite import SqueezeExcite

__all__ = ["MBConv"]


class MBConv(nn.Module):
    """Inverted bottleneck: widen, filter each channel, gate, narrow; with a shortcut where the shape is kept.

    ``y = project(gate(depthwise_k(expand(x)))) + x``, the sum only where width and resolution are kept. Hidden channels
    are ordered: a smaller expansion uses a prefix of the channels of a larger one.

    Args:
        inp: width of the input, in channels.
        out: width of the output, in channels.
        stride: step between output pixels, in input pixels.
        kernel: edge length of the depthwise kernel, in pixels; several odd lengths are searched.
        expansion: hidden width divided by ``inp``; several factors are searched. The fixed factor 1 has no expanding
            layer.
        squeeze_excite: rescale the hidden channels by squeeze-and-excitation; ``[false, true]`` is searched.
        activation: name of the activation: ``gelu``, ``hardswish``, ``relu`` or ``silu``.

    Shape:
        x: ``[N, inp, H, W]``. Returns ``[N, out, ceil(H / stride), ceil(W / stride)]``.

    Cost:
        Multiply-accumulates for each output pixel at stride 1 and hidden width ``h``: ``h * (inp + k² + out)``; squeeze-
        and-excitation adds about ``h² / 2`` for each sample.

    Raises:
        SpaceError: an even kernel, an expansion below 1, an unknown activation, no choice or a repeated one.

    Source:
        Sandler et al. 2018, arXiv:1801.04381, section 3.3; Howard et al. 2019, arXiv:1905.02244, section 5.3 (gate between
        the depthwise and the projecting layer). Deviation: nested kernels without transformation matrices.

    Example:
        >>> MBConv(8, 12, stride=2)(torch.randn(2, 8, 5, 7)).shape
        torch.Size([2, 12, 3, 4])
    """

    def __init__(
        self,
        inp: SizeLike,
        out: SizeLike,
        *,
        stride: int = 1,
        kernel: Counts = (3, 5, 7),
        expansion: Counts = (3, 4, 6),
        squeeze_excite: bool | Sequence[bool] = (False, True),
        activation: str = "hardswish",
    ) -> None:
        super().__init__()
        self.kernel = kernel_option("kernel", kernel)
        self.expansion = count_option("expansion", expansion)
        hidden = inp * self.expansion
        self.expand = nn.Identity() if self.expansion == 1 else _pointwise(inp, hidden, activation)
        self.depthwise = nn.Sequential(
            elastic.Conv2d(hidden, hidden, self.kernel, stride=stride, depthwise=True, bias=False),
            elastic.BatchNorm2d(hidden),
            activation_layer(activation),
        )
        self.squeeze_excite = _gate(hidden, squeeze_excite)
        self.project = nn.Sequential(elastic.Conv2d(hidden, out, 1, bias=False), elastic.BatchNorm2d(out))
        self.residual = keeps_shape(inp, out, stride)
        initialise_convolutions(self)

    def forward(self, x: Tensor) -> Tensor:
        """Applies the block."""
        y: Tensor = self.project(self.squeeze_excite(self.depthwise(self.expand(x))))
        return x + y if self.residual else y


def _pointwise(inp: SizeLike, out: SizeLike, activation: str) -> nn.Module:
    return nn.Sequential(
        elastic.Conv2d(inp, out, 1, bias=False), elastic.BatchNorm2d(out), activation_layer(activation)
    )


def _gate(width: SizeLike, present: bool | Sequence[bool]) -> nn.Module:
    choices = list(present) if isinstance(present, list | tuple) else [present]
    if not choices or any(choices.count(c) > 1 or not isinstance(c, bool) for c in choices):
        raise SpaceError(f"squeeze_excite: {present!r} must be true, false or both, each once.")
    if len(choices) == 1:
        return SqueezeExcite(width) if choices[0] else nn.Identity()
    return elastic.Choice({"off": nn.Identity(), "on": SqueezeExcite(width)})
