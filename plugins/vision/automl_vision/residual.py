"""Residual networks: the basic and the bottleneck block, exchangeable in one slot."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from automl import elastic
from automl.errors import SpaceError, did_you_mean
from automl.space import SizeLike
from automl_vision.activation import activation_layer
from automl_vision.fraction import fraction
from automl_vision.initialisation import initialise_convolutions
from automl_vision.options import Counts, fixed_option, kernel_option
from automl_vision.shortcut import shortcut

__all__ = ["Residual"]


class Residual(nn.Module):
    """Residual block whose branch is two convolutions, or three with a narrow middle.

    ``y = act(branch(x) + shortcut(x))``. The shortcut is the identity where width and resolution are kept, else a strided
    pointwise convolution with batch norm.

    Args:
        inp: width of the input, in channels.
        out: width of the output, in channels.
        stride: step between output pixels, in input pixels.
        branch: ``basic``, ``bottleneck``, or both, which is searched.
        kernel: edge length of the spatial kernels, in pixels; several odd lengths are searched.
        reduction: ``out`` divided by the width of the bottleneck, which is rounded to a multiple of 4.
        activation: name of the activation: ``gelu``, ``hardswish``, ``relu`` or ``silu``.

    Shape:
        x: ``[N, inp, H, W]``. Returns ``[N, out, ceil(H / stride), ceil(W / stride)]``.

    Cost:
        Multiply-accumulates for each output pixel, without the shortcut, at stride 1 and ``m = out / reduction``:
        ``k² * out * (inp + out)`` (basic), ``m * (inp + k² * m + out)`` (bottleneck).

    Raises:
        SpaceError: an even kernel, a reduction below 1, an unknown branch or activation, or no branch at all.

    Source:
        He et al. 2016, arXiv:1512.03385, section 3.3 and figure 5. Deviations: the stride of the bottleneck is in its
        spatial convolution, as in later implementations; the last scale of each branch starts at one, not at zero.

    Example:
        >>> Residual(8, 12, stride=2)(torch.randn(2, 8, 5, 7)).shape
        torch.Size([2, 12, 3, 4])
    """

    def __init__(
        self,
        inp: SizeLike,
        out: SizeLike,
        *,
        stride: int = 1,
        branch: str | Sequence[str] = ("bottleneck", "basic"),
        kernel: Counts = 3,
        reduction: int = 4,
        activation: str = "relu",
    ) -> None:
        super().__init__()
        self.kernel = kernel_option("kernel", kernel)
        self.shortcut = shortcut(inp, out, stride)
        reduction = fixed_option("reduction", reduction)
        names = [branch] if isinstance(branch, str) else list(branch)
        branches: dict[str, nn.Module] = {}
        for name in names:
            if name == "basic":
                branches[name] = _basic(inp, out, self.kernel, stride, activation)
            elif name == "bottleneck":
                branches[name] = _bottleneck(inp, out, self.kernel, reduction, stride, activation)
            else:
                raise SpaceError(f"branch: unknown branch {name!r}.{did_you_mean(str(name), ('basic', 'bottleneck'))}")
        if not branches:
            raise SpaceError("branch: no choice is given; list 'basic', 'bottleneck' or both.")
        self.branch = elastic.Choice(branches) if len(branches) > 1 else branches[names[0]]
        self.act = activation_layer(activation)
        initialise_convolutions(self)

    def forward(self, x: Tensor) -> Tensor:
        """Adds the branch to the shortcut."""
        y: Tensor = self.act(self.branch(x) + self.shortcut(x))
        return y


def _basic(inp: SizeLike, out: SizeLike, kernel: SizeLike, stride: int, activation: str) -> nn.Module:
    return nn.Sequential(
        elastic.Conv2d(inp, out, kernel, stride=stride, bias=False),
        elastic.BatchNorm2d(out),
        activation_layer(activation),
        elastic.Conv2d(out, out, kernel, bias=False),
        elastic.BatchNorm2d(out),
    )


def _bottleneck(
    inp: SizeLike, out: SizeLike, kernel: SizeLike, reduction: int, stride: int, activation: str
) -> nn.Module:
    middle = fraction(out, reduction, multiple=4)
    return nn.Sequential(
        elastic.Conv2d(inp, middle, 1, bias=False),
        elastic.BatchNorm2d(middle),
        activation_layer(activation),
        elastic.Conv2d(middle, middle, kernel, stride=stride, bias=False),
        elastic.BatchNorm2d(middle),
        activation_layer(activation),
        elastic.Conv2d(middle, out, 1, bias=False),
        elastic.BatchNorm2d(out),
    )
