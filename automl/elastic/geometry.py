"""Kernel windows of convolutions: sizes per axis, centre crops and paddings."""

from __future__ import annotations

from typing import TypeAlias

from torch import Tensor

from automl.elastic.selection import plain_number
from automl.elastic.validation import check_count, every_setting
from automl.errors import SpaceError
from automl.space import SizeLike

__all__ = ["Extent", "centre_crop", "check_kernel", "per_axis", "plain_extent", "same_padding", "transposed_padding"]

Extent: TypeAlias = SizeLike | tuple[SizeLike, ...]
"""A number for all axes, or one for each."""


def per_axis(where: str, extent: Extent, axes: int, *, at_least: int) -> tuple[SizeLike, ...]:
    """Returns one size for each axis.

    Raises:
        SpaceError: not as many sizes as axes, or one that can be too small.
    """
    sizes = extent if isinstance(extent, tuple) else (extent,) * axes
    if len(sizes) != axes:
        raise SpaceError(f"{where}: {extent!r} gives {len(sizes)} sizes; expected one, or one for each of {axes} axes.")
    for size in sizes:
        check_count(where, size, at_least=at_least)
    return sizes


def check_kernel(where: str, kernel: tuple[SizeLike, ...]) -> tuple[int, ...]:
    """Checks that every kernel has a centre in the largest one, and returns the largest.

    Raises:
        SpaceError: odd and even sizes are mixed on one axis.
    """
    for size in kernel:
        values = sorted({value for (value,) in every_setting(size)})
        if len({value % 2 for value in values}) > 1:
            raise SpaceError(f"{where}: {values} mixes odd and even sizes, which have no common centre; use one kind.")
    return tuple(max(value for (value,) in every_setting(size)) for size in kernel)


def centre_crop(weight: Tensor, kernel: tuple[int, ...]) -> Tensor:
    """Returns the centre of each kernel of a weight ``(out, in, *largest)`` as a view ``(out, in, *kernel)``."""
    for axis, size in enumerate(kernel, start=2):
        margin = weight.shape[axis] - size
        if margin:
            weight = weight.narrow(axis, margin // 2, size)
    return weight


def same_padding(kernel: tuple[int, ...], dilation: tuple[int, ...]) -> tuple[int, ...]:
    """Returns the padding that makes all odd kernels give ``ceil(size / stride)`` positions, per axis.

    Example:
        >>> same_padding((7, 3), (1, 2))
        (3, 2)
    """
    return tuple((k - 1) // 2 * d for k, d in zip(kernel, dilation, strict=True))


def transposed_padding(
    kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Returns padding and output padding that make a transposed convolution give ``size * stride`` positions.

    Example:
        >>> transposed_padding((4, 3), (2, 2), (1, 1))
        ((1, 1), (0, 1))
    """
    surplus = [d * (k - 1) + 1 - s for k, s, d in zip(kernel, stride, dilation, strict=True)]
    padding = [max(0, (extra + 1) // 2) for extra in surplus]
    return tuple(padding), tuple(2 * p - extra for p, extra in zip(padding, surplus, strict=True))


def plain_extent(sizes: tuple[SizeLike, ...]) -> tuple[int, ...]:
    """Returns the active size of each axis."""
    return tuple(map(plain_number, sizes))
