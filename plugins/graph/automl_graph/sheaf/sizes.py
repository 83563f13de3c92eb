"""Sizes of stalks: which units of the largest network a smaller stalk, or fewer channels, use."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass

from automl.space import Dimension, Size, SizeLike, dimensions_of, largest_value, smallest_value

__all__ = ["StackedSize", "TableSize", "full_triangle", "square", "strict_triangle"]


@dataclass(frozen=True, eq=False)
class StackedSize(Size):
    """Parts one after another, each with its own range of units; a part may be absent.

    Example:
        >>> from automl.space import Ordinal
        >>> fixed, learned = Ordinal(0, 1), Ordinal(2, 3)
        >>> size = StackedSize((fixed, learned))
        >>> fixed.value, learned.value = 0, 2
        >>> int(size), size.indices()
        (2, (1, 2))
    """

    parts: tuple[SizeLike, ...]

    @property
    def value(self) -> int:
        return sum(map(operator.index, self.parts))

    @property
    def minimum(self) -> int:
        return sum(map(smallest_value, self.parts))

    @property
    def maximum(self) -> int:
        return sum(map(largest_value, self.parts))

    @property
    def dimensions(self) -> tuple[Dimension, ...]:
        return dimensions_of(self.parts)

    def indices(self) -> tuple[int, ...]:
        units: list[int] = []
        start = 0
        for part in self.parts:
            units.extend(range(start, start + operator.index(part)))
            start += largest_value(part)
        return tuple(units)


@dataclass(frozen=True, eq=False)
class TableSize(Size):
    """Rows times columns, flattened row by row; fewer columns use a prefix of every active row.

    Example:
        >>> from automl.space import Ordinal
        >>> columns = Ordinal(2, 3)
        >>> columns.value = 2
        >>> TableSize(2, columns).indices()
        (0, 1, 3, 4)
    """

    rows: SizeLike
    columns: SizeLike

    @property
    def value(self) -> int:
        return operator.index(self.rows) * operator.index(self.columns)

    @property
    def minimum(self) -> int:
        return smallest_value(self.rows) * smallest_value(self.columns)

    @property
    def maximum(self) -> int:
        return largest_value(self.rows) * largest_value(self.columns)

    @property
    def dimensions(self) -> tuple[Dimension, ...]:
        return dimensions_of((self.rows, self.columns))

    def indices(self) -> tuple[int, ...]:
        across = largest_value(self.columns)
        return tuple(row * across + column for row in _units(self.rows) for column in _units(self.columns))


@dataclass(frozen=True, eq=False)
class _Growing(Size):
    size: Size
    function: Callable[[int], int]

    @property
    def value(self) -> int:
        return self.function(operator.index(self.size))

    @property
    def minimum(self) -> int:
        return self.function(smallest_value(self.size))

    @property
    def maximum(self) -> int:
        return self.function(largest_value(self.size))

    @property
    def dimensions(self) -> tuple[Dimension, ...]:
        return self.size.dimensions


def strict_triangle(stalk: SizeLike) -> SizeLike:
    """Returns ``d (d - 1) / 2``: entries below a diagonal, row by row, so that a small matrix has a prefix of a large one."""
    return _grown(stalk, lambda d: d * (d - 1) // 2)


def full_triangle(stalk: SizeLike) -> SizeLike:
    """Returns ``d (d + 1) / 2``: entries below and on a diagonal, row by row."""
    return _grown(stalk, lambda d: d * (d + 1) // 2)


def square(stalk: SizeLike) -> SizeLike:
    """Returns ``d * d``."""
    return _grown(stalk, lambda d: d * d)


def _grown(size: SizeLike, function: Callable[[int], int]) -> SizeLike:
    return _Growing(size, function) if isinstance(size, Size) else function(size)


def _units(size: SizeLike) -> tuple[int, ...]:
    chosen = size.indices() if isinstance(size, Size) else None
    return tuple(range(operator.index(size))) if chosen is None else chosen
