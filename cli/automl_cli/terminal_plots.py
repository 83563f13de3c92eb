"""Small plots made of characters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

__all__ = ["scatter", "sparkline"]

_LEVELS: Final = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float]) -> str:
    """Returns one character per value, its height between the smallest and the largest of them.

    Example:
        >>> sparkline([0.0, 0.5, 1.0])
        '▁▅█'
    """
    if not values:
        return ""
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    return "".join(_LEVELS[round((value - low) / span * (len(_LEVELS) - 1))] for value in values)


def scatter(points: Sequence[tuple[float, float]], width: int, height: int) -> list[str]:
    """Returns the lines of a plot, the largest second value on top; equal values lie in the middle.

    Args:
        points: finite pairs.
        width: characters in a line.
        height: number of lines.
    """
    grid = [[" "] * width for _ in range(height)]
    if points:
        columns = _places([x for x, _ in points], width)
        rows = _places([y for _, y in points], height)
        for column, row in zip(columns, rows, strict=True):
            grid[height - 1 - row][column] = "•"
    return ["".join(line) for line in grid]


def _places(values: Sequence[float], cells: int) -> list[int]:
    low, high = min(values), max(values)
    if high <= low:
        return [cells // 2] * len(values)
    return [round((value - low) / (high - low) * (cells - 1)) for value in values]
