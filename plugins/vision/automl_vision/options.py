"""Options of blocks: one value is fixed, several values are a dimension of the search space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from automl.errors import SpaceError
from automl.space import Ordinal

__all__ = ["Counts", "count_option", "fixed_option", "kernel_option"]

Counts: TypeAlias = int | Sequence[int]
"""One whole number, or several in increasing order."""


def count_option(name: str, counts: Counts) -> int | Ordinal:
    """Returns a fixed number for one count and an ``Ordinal`` for several.

    Args:
        name: the option as the user writes it, for messages.
        counts: one whole number or an increasing list of them.

    Raises:
        SpaceError: no count, or one that is no whole number of at least 1.

    Example:
        >>> count_option("heads", 4), count_option("heads", [2, 4])
        (4, Ordinal(2, 4))
    """
    if not isinstance(counts, int | Sequence):
        raise SpaceError(f"{name}: {counts!r} is not a whole number of at least 1, nor a list of such.")
    choices = [counts] if isinstance(counts, int) else list(counts)
    if not choices:
        raise SpaceError(f"{name}: no choice is given; list at least one whole number.")
    for choice in choices:
        if isinstance(choice, bool) or not isinstance(choice, int) or choice < 1:
            raise SpaceError(f"{name}: {choice!r} is not a whole number of at least 1.")
    return choices[0] if len(choices) == 1 else Ordinal(*choices)


def kernel_option(name: str, counts: Counts) -> int | Ordinal:
    """Returns the edge length of a kernel, fixed or searched.

    Raises:
        SpaceError: a length is even, which would shift the feature map by half a pixel, or is no count at all.

    Example:
        >>> kernel_option("kernel", [3, 5, 7])
        Ordinal(3, 5, 7)
    """
    length = count_option(name, counts)
    for choice in length.choices if isinstance(length, Ordinal) else (length,):
        if choice % 2 == 0:
            raise SpaceError(f"{name}: the kernel length {choice} is even; use {choice - 1} or {choice + 1}.")
    return length


def fixed_option(name: str, count: int) -> int:
    """Returns a count that cannot be searched, once it is checked.

    Raises:
        SpaceError: it is no whole number of at least 1.

    Example:
        >>> fixed_option("reach", 7)
        7
    """
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise SpaceError(f"{name}: {count!r} is not a whole number of at least 1; this option takes one value.")
    return count
