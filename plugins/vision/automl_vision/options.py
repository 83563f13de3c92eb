"""Options of blocks: one value is fixed, several values are a dimension of the search space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from automl.errors import SpaceError
from automl.space import Ordinal, SizeLike

__all__ = ["Counts", "count_option", "kernel_option"]

Counts: TypeAlias = int | Sequence[int]
"""One whole number, or several in increasing order."""


def count_option(name: str, counts: Counts, *, least: int = 1) -> SizeLike:
    """Returns a fixed number for one count and an ``Ordinal`` for several.

    Args:
        name: the option as the user writes it, for messages.
        counts: one whole number or an increasing list of them.
        least: smallest count that makes sense.

    Raises:
        SpaceError: no count, a count below ``least`` or one that is no whole number.

    Example:
        >>> count_option("heads", 4), count_option("heads", [2, 4])
        (4, Ordinal(2, 4))
    """
    choices = [counts] if isinstance(counts, int | float | str) else list(counts)
    for choice in choices:
        if isinstance(choice, bool) or not isinstance(choice, int) or choice < least:
            raise SpaceError(f"{name}: {choice!r} is not a whole number of at least {least}.")
    if not choices:
        raise SpaceError(f"{name}: no choice is given; list at least one whole number.")
    return choices[0] if len(choices) == 1 else Ordinal(*choices)


def kernel_option(name: str, counts: Counts) -> SizeLike:
    """Returns the edge length of a kernel, fixed or searched.

    Raises:
        SpaceError: a length is even, which would shift the feature map by half a pixel, or is no count at all.

    Example:
        >>> kernel_option("kernel", [3, 5, 7])
        Ordinal(3, 5, 7)
    """
    for choice in [counts] if isinstance(counts, int) else counts:
        if isinstance(choice, int) and choice % 2 == 0:
            raise SpaceError(f"{name}: the kernel length {choice} is even; use {max(choice - 1, 1)} or {choice + 1}.")
    return count_option(name, counts)
