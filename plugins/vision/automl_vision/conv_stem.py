"""The first layer of most convolutional networks: convolution, batch norm, activation."""

from __future__ import annotations

from torch import Tensor, nn

from automl import elastic
from automl.space import SizeLike
from automl_vision.activation import activation_layer
from automl_vision.initialisation import initialise_convolutions
from automl_vision.options import Counts, kernel_option

__all__ = ["ConvStem"]


class ConvStem(nn.Module):
    """One convolution, batch norm and activation.

    ``y = act(norm(conv_k(x)))`` with a ``k x k`` kernel; smaller kernels are the centre of larger ones.

    Args:
        inp: width of the input, in channels.
        out: width of the output, in channels.
        stride: step between output pixels, in input pixels.
        kernel: edge length of the kernel, in pixels; several odd lengths are searched.
        activation: name of the activation: ``gelu``, ``hardswish``, ``relu`` or ``silu``.

    Shape:
        x: ``[N, inp, H, W]``. Returns ``[N, out, ceil(H / stride), ceil(W / stride)]``.

    Cost:
        ``k² * inp * out`` multiply-accumulates for each output pixel.

    Raises:
        SpaceError: an even kernel or an unknown activation.

    Source:
        He et al. 2016, arXiv:1512.03385, section 3.4 (order of layers); nested kernels: Cai et al. 2020
        (once-for-all), arXiv:1908.09791, section 3.3, without its kernel transformation matrices.

    Example:
        >>> ConvStem(3, 16, stride=2, kernel=[3, 5])(torch.randn(2, 3, 9, 8)).shape
        torch.Size([2, 16, 5, 4])
    """

    def __init__(
        self,
        inp: SizeLike,
        out: SizeLike,
        *,
        stride: int = 1,
        kernel: Counts = (3, 5),
        activation: str = "relu",
    ) -> None:
        super().__init__()
        self.kernel = kernel_option("kernel", kernel)
        self.conv = elastic.Conv2d(inp, out, self.kernel, stride=stride, bias=False)
        self.norm = elastic.BatchNorm2d(out)
        self.act = activation_layer(activation)
        initialise_convolutions(self)

    def forward(self, x: Tensor) -> Tensor:
        """Applies the layer."""
        y: Tensor = self.act(self.norm(self.conv(x)))
        return y
