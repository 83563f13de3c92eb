"""Checks of sizes when a layer is built, so that no setting of the dimensions can break it later."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Iterator

from automl.errors import SpaceError
from automl.space import Dimension, Size, SizeLike, dimensions_of, largest_value, smallest_value

__all__ = ["check_count", "check_divisible", "every_setting"]

SETTINGS_LIMIT = 4096
"""Sizes with more settings than this are checked at their extremes only."""


def every_setting(*sizes: SizeLike) -> Iterator[tuple[int, ...]]:
    """Yields the values of sizes under every setting of their dimensions, and leaves the dimensions as they were.

    Sizes with too many settings are given by their smallest and their largest setting.

    Example:
        >>> from automl.space import Ordinal
        >>> width = Ordinal(2, 3)
        >>> list(every_setting(width, width * 2, 5))
        [(2, 4, 5), (3, 6, 5)]
    """
    dimensions: tuple[Dimension, ...] = dimensions_of(sizes)
    before = [dimension.index for dimension in dimensions]
    ranges = [range(len(dimension.choices)) for dimension in dimensions]
    if math.prod(map(len, ranges)) > SETTINGS_LIMIT:
        settings: Iterator[tuple[int, ...]] = iter([tuple(r[0] for r in ranges), tuple(r[-1] for r in ranges)])
    else:
        settings = itertools.product(*ranges)
    try:
        for setting in settings:
            for dimension, position in zip(dimensions, setting, strict=True):
                dimension.set_index(position)
            yield tuple(operator.index(size) for size in sizes)
    finally:
        for dimension, position in zip(dimensions, before, strict=True):
            dimension.set_index(position)


def check_count(where: str, size: SizeLike, *, at_least: int = 1) -> int:
    """Checks that a size is always a whole number of units, and returns the largest.

    Args:
        where: layer and argument, such as ``"Linear: in_features"``.
        size: the size, or a plain number.
        at_least: smallest number of units allowed.

    Raises:
        SpaceError: the size is no number of units, can be fractional, or can be too small; names argument and value.
    """
    if isinstance(size, bool) or not isinstance(size, int | Size):
        raise SpaceError(f"{where}: expected a whole number or a size, got {size!r}.")
    try:
        for _ in every_setting(size):
            pass
    except SpaceError as error:
        raise SpaceError(f"{where}: {error}") from error
    if smallest_value(size) < at_least:
        raise SpaceError(f"{where}: {size!r} can be {smallest_value(size)}; expected at least {at_least}.")
    return largest_value(size)


def check_divisible(where: str, size: SizeLike, divisor: SizeLike) -> None:
    """Checks that one size is a multiple of another under every setting of their dimensions.

    Raises:
        SpaceError: names both sizes and the values that do not divide.
    """
    for value, part in every_setting(size, divisor):
        if value % part:
            raise SpaceError(f"{where}: {size!r} can be {value}, which {divisor!r} = {part} does not divide.")
