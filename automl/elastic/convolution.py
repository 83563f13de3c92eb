"""Convolutions with elastic widths, kernel, dilation and groups, in one to three dimensions."""

from __future__ import annotations

import math
from typing import ClassVar, NamedTuple, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from automl.elastic.geometry import Extent, centre_crop, check_kernel, per_axis, plain_extent, same_padding
from automl.elastic.grouping import columns_by_index
from automl.elastic.layer import ElasticLayer
from automl.elastic.selection import Selection, dense, plain_number
from automl.elastic.specialise import plain_layer
from automl.elastic.validation import check_count, check_divisible, every_setting
from automl.errors import SpaceError
from automl.space import SizeLike

__all__ = ["Conv1d", "Conv2d", "Conv3d"]

Arguments = tuple[Tensor, Tensor | None, tuple[int, ...], tuple[int, ...], int]


class _Active(NamedTuple):
    outputs: Selection
    columns: Selection
    columns_of_rows: Tensor | None
    kernel: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int


class Convolution(ElasticLayer[_Active, Arguments]):
    """What convolutions of any number of axes share; see ``Conv2d``."""

    axes: ClassVar[int]
    plain: ClassVar[type[nn.Conv1d | nn.Conv2d | nn.Conv3d]]

    def __init__(
        self,
        in_channels: SizeLike,
        out_channels: SizeLike,
        kernel_size: Extent,
        *,
        stride: int | tuple[int, ...] = 1,
        padding: int | tuple[int, ...] | None = None,
        dilation: Extent = 1,
        groups: SizeLike = 1,
        depthwise: bool = False,
        bias: bool = True,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        if depthwise and groups != 1:
            raise SpaceError(f"{name}: depthwise means one group per input channel; drop groups={groups!r}.")
        groups = in_channels if depthwise else groups
        check_count(f"{name}: in_channels", in_channels)
        largest_out = check_count(f"{name}: out_channels", out_channels)
        check_count(f"{name}: groups", groups)
        check_divisible(f"{name}: in_channels", in_channels, groups)
        check_divisible(f"{name}: out_channels", out_channels, groups)
        kernel = per_axis(f"{name}: kernel_size", kernel_size, self.axes, at_least=1)
        largest_kernel = check_kernel(f"{name}: kernel_size", kernel)
        per_axis(f"{name}: dilation", dilation, self.axes, at_least=1)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = kernel_size
        self.stride = plain_extent(per_axis(f"{name}: stride", stride, self.axes, at_least=1))
        self.padding = (
            None if padding is None else plain_extent(per_axis(f"{name}: padding", padding, self.axes, at_least=0))
        )
        self.dilation = dilation
        self.groups = groups
        columns = max(inp // parts for inp, parts in every_setting(in_channels, groups))
        self.weight = nn.Parameter(torch.empty(largest_out, columns, *largest_kernel))
        self.bias = nn.Parameter(torch.empty(largest_out)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws new weights as the plain layer of the largest size does."""
        bound = 1 / math.sqrt(self.weight[0].numel())
        nn.init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            nn.init.uniform_(self.bias, -bound, bound)

    def specialise(self) -> nn.Module:
        """Returns the plain convolution with copied active weights."""
        selection = self._selection()
        weight, bias, padding, dilation, groups = self._cut(selection)
        return plain_layer(
            self.plain,
            plain_number(self.in_channels),
            plain_number(self.out_channels),
            selection.kernel,
            stride=self.stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
            bias=bias is not None,
            training=self.training,
            weights={"weight": (weight, self.weight), "bias": (bias, self.bias)},
        )

    def _select(self) -> _Active:
        device = self._device()
        inputs, outputs = Selection.of(self.in_channels, device), Selection.of(self.out_channels, device)
        groups = plain_number(self.groups)
        largest = self.weight.shape[1]
        columns = inputs if groups == 1 else Selection(inputs.count // groups, largest)
        columns_of_rows = columns_by_index(inputs, outputs, groups, largest)
        kernel = self._extent(self.kernel_size)
        dilation = self._extent(self.dilation)
        padding = same_padding(kernel, dilation) if self.padding is None else self.padding
        return _Active(outputs, columns, columns_of_rows, kernel, padding, dilation, groups)

    def _extent(self, extent: Extent) -> tuple[int, ...]:
        return plain_extent(extent) if isinstance(extent, tuple) else (plain_number(extent),) * self.axes

    def _cut(self, selection: _Active) -> Arguments:
        weight = centre_crop(selection.outputs.take(self.weight, 0), selection.kernel)
        if selection.columns_of_rows is None:
            weight = selection.columns.take(weight, 1)
        else:
            index = selection.columns_of_rows.to(weight.device).reshape(
                *selection.columns_of_rows.shape, *[1] * self.axes
            )
            weight = weight.gather(1, index.expand(-1, -1, *selection.kernel))
        bias = None if self.bias is None else selection.outputs.take(self.bias)
        return weight, bias, selection.padding, selection.dilation, selection.groups

    def _compact(self, arguments: Arguments) -> Arguments:
        weight, bias, padding, dilation, groups = arguments
        return dense(weight, self.weight), bias, padding, dilation, groups

    def extra_repr(self) -> str:
        """Returns the arguments."""
        words = [repr(self.in_channels), repr(self.out_channels), f"kernel_size={self.kernel_size!r}"]
        words.append(f"stride={self.stride!r}")
        words += [] if self.padding is None else [f"padding={self.padding!r}"]
        words += [] if self.dilation == 1 else [f"dilation={self.dilation!r}"]
        if self.groups is self.in_channels and self.groups != 1:
            words.append("depthwise=True")
        elif self.groups != 1:
            words.append(f"groups={self.groups!r}")
        return ", ".join([*words, f"bias={self.bias is not None}"])


@final
class Conv1d(Convolution):
    """Convolution over one axis; all else as in ``Conv2d``.

    Shape:
        x: ``(batch, in_channels, length)``, or without ``batch``. Returns ``(batch, out_channels, ceil(length / stride))``
        for odd kernels.
        weight: ``(max out, max in / groups, max kernel)``; bias: ``(max out,)``.

    Raises:
        SpaceError: as ``Conv2d``.

    Specialised:
        ``nn.Conv1d``.

    Example:
        >>> from automl.space import Ordinal
        >>> layer = Conv1d(4, 6, Ordinal(3, 9), stride=2)
        >>> layer(torch.randn(2, 4, 15)).shape
        torch.Size([2, 6, 8])
    """

    axes = 1
    plain = nn.Conv1d

    def forward(self, x: Tensor) -> Tensor:
        """Convolves with the active slice."""
        weight, bias, padding, dilation, groups = self._arguments()
        return F.conv1d(x, weight, bias, self.stride, padding, dilation, groups)


@final
class Conv2d(Convolution):
    """Convolution over two axes whose widths, kernel, dilation and groups are searched.

    A smaller kernel is the centre of the largest one. Active channels are a prefix, or those of ``indices()``. In a grouped
    convolution, row ``i`` of the weight belongs to output channel ``i`` and column ``j`` to the ``j``-th input of its group;
    for channels selected by index, ``j`` counts in the largest layer if no group of it is cut through. Let ``groups``
    be a multiple of the width (``groups=width // 8``) to keep the partners of a channel the same in all subnetworks.

    Args:
        in_channels: width of the input, in channels.
        out_channels: width of the output, in channels.
        kernel_size: edge of the kernel, all choices odd or all even; a tuple gives one size for each axis.
        stride: step of the output positions; a number or one for each axis.
        padding: zeros on each side; left out, ``(kernel - 1) // 2 * dilation``, which follows the active kernel and makes
            the output of odd kernels ``ceil(size / stride)``.
        dilation: step of the kernel positions; a tuple gives one for each axis.
        groups: number of groups; divides both widths under every setting.
        depthwise: one group per input channel, whatever the width.
        bias: add a learned offset per output channel.

    Shape:
        x: ``(batch, in_channels, height, width)``, or without ``batch``. Returns
        ``(batch, out_channels, ceil(height / stride), ceil(width / stride))`` for odd kernels.
        weight: ``(max out, max in / groups, max kernel, max kernel)``; bias: ``(max out,)``.

    Cost:
        ``in * out / groups * kernel²`` multiply-accumulates for each output position.

    Raises:
        SpaceError: a size that can be fractional or too small, kernels of mixed parity, groups that do not divide.

    Specialised:
        ``nn.Conv2d``.

    Source:
        Centre crops: Cai et al. 2020 (Once-for-all), arXiv:1908.09791, section 3.3. Deviation: the weights of the centre are
        used as they are, without the learned transformation between kernel sizes, so all kernels train the same weights.

    Example:
        >>> from automl.space import Ordinal
        >>> width, kernel = Ordinal(8, 12), Ordinal(3, 5, 7)
        >>> layer = Conv2d(width, width, kernel, stride=2, depthwise=True)
        >>> width.value, kernel.value = 8, 5
        >>> layer(torch.randn(1, 8, 9, 9)).shape, layer.specialise().weight.shape
        (torch.Size([1, 8, 5, 5]), torch.Size([8, 1, 5, 5]))
    """

    axes = 2
    plain = nn.Conv2d

    def forward(self, x: Tensor) -> Tensor:
        """Convolves with the active slice."""
        weight, bias, padding, dilation, groups = self._arguments()
        return F.conv2d(x, weight, bias, self.stride, padding, dilation, groups)


@final
class Conv3d(Convolution):
    """Convolution over three axes; all else as in ``Conv2d``.

    Shape:
        x: ``(batch, in_channels, depth, height, width)``, or without ``batch``. Returns
        ``(batch, out_channels, ceil(depth / stride), ceil(height / stride), ceil(width / stride))`` for odd kernels.
        weight: ``(max out, max in / groups, max kernel, max kernel, max kernel)``; bias: ``(max out,)``.

    Raises:
        SpaceError: as ``Conv2d``.

    Specialised:
        ``nn.Conv3d``.

    Example:
        >>> from automl.space import Ordinal
        >>> layer = Conv3d(2, 4, (1, Ordinal(3, 5), 3))
        >>> layer(torch.randn(1, 2, 5, 6, 7)).shape
        torch.Size([1, 4, 5, 6, 7])
    """

    axes = 3
    plain = nn.Conv3d

    def forward(self, x: Tensor) -> Tensor:
        """Convolves with the active slice."""
        weight, bias, padding, dilation, groups = self._arguments()
        return F.conv3d(x, weight, bias, self.stride, padding, dilation, groups)
