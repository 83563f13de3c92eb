"""The width of several signals side by side, of which a prefix is in use."""

from __future__ import annotations

from typing import final

from automl.space import Number, Size, SizeLike, dimensions_of, largest_value, smallest_value
from automl.space.dimensions import Dimension

__all__ = ["RepeatedWidth"]


@final
class RepeatedWidth(Size):
    """``count * width`` units in which signal ``i`` keeps its own range, ``[i * largest width, i * largest width + width)``.

    Args:
        count: number of signals.
        width: units of each.

    Example:
        >>> from automl.space import Ordinal
        >>> width = Ordinal(2, 3)
        >>> size = RepeatedWidth(2, width)
        >>> width.value = 2
        >>> int(size), size.indices()
        (4, (0, 1, 3, 4))
    """

    def __init__(self, count: SizeLike, width: SizeLike) -> None:
        self._count = count
        self._width = width
        self._dimensions = tuple(dict.fromkeys((*dimensions_of(count), *dimensions_of(width))))

    @property
    def value(self) -> Number:
        """Number of active units."""
        return int(self._count) * int(self._width)

    @property
    def minimum(self) -> Number:
        """Number of units with the fewest signals at their smallest."""
        return smallest_value(self._count) * smallest_value(self._width)

    @property
    def maximum(self) -> Number:
        """Number of units with the most signals at their largest."""
        return largest_value(self._count) * largest_value(self._width)

    @property
    def dimensions(self) -> tuple[Dimension, ...]:
        """Those of the number of signals and of their width."""
        return self._dimensions

    def indices(self) -> tuple[int, ...] | None:
        """Returns the active units of each active signal, within its range."""
        own = self._width.indices() if isinstance(self._width, Size) else None
        active = range(int(self._width)) if own is None else own
        largest = largest_value(self._width)
        units = tuple(i * largest + unit for i in range(int(self._count)) for unit in active)
        return None if units == tuple(range(len(units))) else units

    def __repr__(self) -> str:
        return f"RepeatedWidth({self._count!r}, {self._width!r})"
