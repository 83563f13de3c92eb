"""Transposed convolution with elastic widths and kernel."""

from __future__ import annotations

import math
from typing import NamedTuple, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from automl.elastic.geometry import (
    Extent,
    centre_crop,
    check_kernel,
    per_axis,
    plain_extent,
    transposed_padding,
)
from automl.elastic.layer import ElasticLayer
from automl.elastic.selection import Selection, dense, plain_number
from automl.elastic.specialise import plain_layer
from automl.elastic.validation import check_count, check_divisible, every_setting
from automl.errors import SpaceError
from automl.space import SizeLike

__all__ = ["ConvTranspose2d"]


Arguments = tuple[Tensor, Tensor | None, tuple[int, ...], tuple[int, ...]]


class _Active(NamedTuple):
    inputs: Selection
    columns: Selection
    outputs: Selection
    kernel: tuple[int, ...]
    padding: tuple[int, ...]
    output_padding: tuple[int, ...]


@final
class ConvTranspose2d(ElasticLayer[_Active, Arguments]):
    """Transposed convolution over two axes whose widths and kernel are searched.

    A smaller kernel is the centre of the largest one. Row ``i`` of the weight belongs to input channel ``i``, column ``j`` to
    the ``j``-th output of its group.

    Args:
        in_channels: width of the input, in channels.
        out_channels: width of the output, in channels.
        kernel_size: edge of the kernel, all choices odd or all even; a tuple gives one size for each axis.
        stride: up-sampling factor; a number or one for each axis.
        padding: positions cut off on each side; left out, padding and output padding follow the active kernel so that the
            output has ``size * stride`` positions.
        output_padding: extra positions at the end; only with ``padding``.
        dilation: step of the kernel positions.
        groups: number of groups; divides both widths under every setting.
        bias: add a learned offset per output channel.

    Shape:
        x: ``(batch, in_channels, height, width)``, or without ``batch``. Returns
        ``(batch, out_channels, height * stride, width * stride)``.
        weight: ``(max in, max out / groups, max kernel, max kernel)``; bias: ``(max out,)``.

    Cost:
        ``in * out / groups * kernel²`` multiply-accumulates for each input position.

    Raises:
        SpaceError: a size that can be fractional or too small, kernels of mixed parity, groups that do not divide, or a
            kernel for which no output padding gives ``size * stride`` positions.

    Specialised:
        ``nn.ConvTranspose2d``.

    Example:
        >>> from automl.space import Ordinal
        >>> layer = ConvTranspose2d(4, Ordinal(2, 3), Ordinal(2, 4), stride=2)
        >>> layer(torch.randn(1, 4, 5, 6)).shape
        torch.Size([1, 3, 10, 12])
    """

    def __init__(
        self,
        in_channels: SizeLike,
        out_channels: SizeLike,
        kernel_size: Extent,
        *,
        stride: int | tuple[int, ...] = 1,
        padding: int | tuple[int, ...] | None = None,
        output_padding: int | tuple[int, ...] = 0,
        dilation: int | tuple[int, ...] = 1,
        groups: SizeLike = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        largest_in = check_count("ConvTranspose2d: in_channels", in_channels)
        largest_out = check_count("ConvTranspose2d: out_channels", out_channels)
        check_count("ConvTranspose2d: groups", groups)
        check_divisible("ConvTranspose2d: in_channels", in_channels, groups)
        check_divisible("ConvTranspose2d: out_channels", out_channels, groups)
        kernel = per_axis("ConvTranspose2d: kernel_size", kernel_size, 2, at_least=1)
        largest_kernel = check_kernel("ConvTranspose2d: kernel_size", kernel)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = kernel_size
        self.stride = plain_extent(per_axis("ConvTranspose2d: stride", stride, 2, at_least=1))
        self.padding = (
            None if padding is None else plain_extent(per_axis("ConvTranspose2d: padding", padding, 2, at_least=0))
        )
        self.output_padding = plain_extent(per_axis("ConvTranspose2d: output_padding", output_padding, 2, at_least=0))
        self.dilation = plain_extent(per_axis("ConvTranspose2d: dilation", dilation, 2, at_least=1))
        self.groups = groups
        self._check_padding(kernel)
        columns = max(out // parts for out, parts in every_setting(out_channels, groups))
        self.weight = nn.Parameter(torch.empty(largest_in, columns, *largest_kernel))
        self.bias = nn.Parameter(torch.empty(largest_out)) if bias else None
        self.reset_parameters()

    def _check_padding(self, kernel: tuple[SizeLike, ...]) -> None:
        if self.padding is None and any(self.output_padding):
            raise SpaceError(
                f"ConvTranspose2d: output_padding={self.output_padding} needs a padding; without one both follow the kernel."
            )
        for active in every_setting(*kernel):
            _, extra = self._paddings(active)
            if any(e >= max(s, d) for e, s, d in zip(extra, self.stride, self.dilation, strict=True)):
                raise SpaceError(
                    f"ConvTranspose2d: kernel {active} with stride {self.stride} and dilation {self.dilation} needs the output "
                    f"padding {extra}, which must be smaller than stride or dilation; use another kernel or give a padding."
                )

    def _paddings(self, kernel: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        if self.padding is None:
            return transposed_padding(kernel, self.stride, self.dilation)
        return self.padding, self.output_padding

    def reset_parameters(self) -> None:
        """Draws new weights as ``nn.ConvTranspose2d`` of the largest size does."""
        bound = 1 / math.sqrt(self.weight[0].numel())
        nn.init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        """Convolves with the active slice."""
        weight, bias, padding, output_padding = self._arguments()
        groups = plain_number(self.groups)
        return F.conv_transpose2d(x, weight, bias, self.stride, padding, output_padding, groups, self.dilation)

    def specialise(self) -> nn.ConvTranspose2d:
        """Returns ``nn.ConvTranspose2d`` with copied active weights."""
        selection = self._selection()
        weight, bias, padding, output_padding = self._cut(selection)
        return plain_layer(
            nn.ConvTranspose2d,
            plain_number(self.in_channels),
            plain_number(self.out_channels),
            selection.kernel,
            stride=self.stride,
            padding=padding,
            output_padding=output_padding,
            groups=plain_number(self.groups),
            bias=bias is not None,
            dilation=self.dilation,
            training=self.training,
            weights={"weight": (weight, self.weight), "bias": (bias, self.bias)},
        )

    def _select(self) -> _Active:
        device = self._device()
        inputs, outputs = Selection.of(self.in_channels, device), Selection.of(self.out_channels, device)
        groups = plain_number(self.groups)
        columns = outputs if groups == 1 else Selection(outputs.count // groups, self.weight.shape[1])
        extent = self.kernel_size
        kernel = plain_extent(extent) if isinstance(extent, tuple) else (plain_number(extent),) * 2
        return _Active(inputs, columns, outputs, kernel, *self._paddings(kernel))

    def _cut(self, selection: _Active) -> Arguments:
        weight = selection.columns.take(selection.inputs.take(self.weight, 0), 1)
        weight = centre_crop(weight, selection.kernel)
        bias = None if self.bias is None else selection.outputs.take(self.bias)
        return weight, bias, selection.padding, selection.output_padding

    def _compact(self, arguments: Arguments) -> Arguments:
        weight, bias, padding, output_padding = arguments
        return dense(weight, self.weight), bias, padding, output_padding

    def extra_repr(self) -> str:
        """Returns the arguments."""
        words = [repr(self.in_channels), repr(self.out_channels), f"kernel_size={self.kernel_size!r}"]
        words.append(f"stride={self.stride!r}")
        if self.padding is not None:
            words.append(f"padding={self.padding!r}, output_padding={self.output_padding!r}")
        words += [] if self.dilation == (1, 1) else [f"dilation={self.dilation!r}"]
        words += [] if self.groups == 1 else [f"groups={self.groups!r}"]
        return ", ".join([*words, f"bias={self.bias is not None}"])
