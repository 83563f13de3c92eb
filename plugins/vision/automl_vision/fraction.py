"""Widths that are a fraction of another width."""

from __future__ import annotations

import math

from automl.space import SizeLike

__all__ = ["fraction"]


def fraction(width: SizeLike, divisor: int, *, multiple: int = 1) -> SizeLike:
    """Returns ``width // divisor`` rounded to the nearest multiple, at least one multiple.

    Example:
        >>> from automl.space import Ordinal
        >>> narrow = fraction(Ordinal(16, 72), 4, multiple=8)
        >>> narrow.minimum, narrow.maximum, fraction(72, 4, multiple=8), fraction(3, 4)
        (8, 16, 16, 1)
    """
    if isinstance(width, int):
        return max(1, math.floor(width // divisor / multiple + 0.5)) * multiple
    return (width // divisor).rounded(multiple)
