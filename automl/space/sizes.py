"""Sizes: numbers of units that may depend on dimensions, and the arithmetic between them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from automl.errors import SpaceError

if TYPE_CHECKING:
    from automl.space.dimensions import Dimension

__all__ = ["Number", "Size", "SizeLike", "largest_value", "smallest_value"]

Number: TypeAlias = int | float


class Size(ABC):
    """A number of units (channels, heads, blocks) that may depend on dimensions.

    Sizes combine with ``*``, ``+`` and ``//`` into further sizes and read as plain numbers through ``int()``, so code that
    uses one works unchanged on the number that replaces it in an extracted model.

    Example:
        >>> from automl.space import Ordinal
        >>> width = Ordinal(16, 24, 32)
        >>> hidden = (width * 1.5).rounded(8)
        >>> width.value = 16
        >>> int(hidden), hidden.minimum, hidden.maximum
        (24, 24, 48)
    """

    @property
    @abstractmethod
    def value(self) -> Number:
        """The size under the current values of its dimensions."""

    @property
    @abstractmethod
    def minimum(self) -> Number:
        """The smallest value over all settings of its dimensions."""

    @property
    @abstractmethod
    def maximum(self) -> Number:
        """The largest value over all settings of its dimensions; weights are allocated at this size."""

    @property
    @abstractmethod
    def dimensions(self) -> tuple[Dimension, ...]:
        """The dimensions that this size depends on, in order of first use."""

    def indices(self) -> tuple[int, ...] | None:
        """Returns the active units among all ``maximum`` ones, or ``None`` where they are the prefix ``range(value)``."""
        return None

    def rounded(self, multiple: int) -> Size:
        """Returns this size rounded to the nearest multiple (half up), at least one multiple."""
        return _Rounded(self, multiple)

    def __int__(self) -> int:
        return int(self.value)

    def __index__(self) -> int:
        value = self.value
        if int(value) != value:
            raise SpaceError(f"{self!r} is {value}, not a whole number of units; use .rounded(multiple).")
        return int(value)

    def __float__(self) -> float:
        return float(self.value)

    def __mul__(self, other: Size | Number) -> Size:
        return _Product(self, _as_size(other))

    def __rmul__(self, other: Number) -> Size:
        return _Product(_as_size(other), self)

    def __add__(self, other: Size | Number) -> Size:
        return _Sum(self, _as_size(other))

    def __radd__(self, other: Number) -> Size:
        return _Sum(_as_size(other), self)

    def __floordiv__(self, other: Size | Number) -> Size:
        return _Quotient(self, _as_size(other))


SizeLike: TypeAlias = int | Size


def largest_value(size: Size | Number) -> int:
    """Returns the largest number of units that a size or plain number can take."""
    return _whole(size.maximum if isinstance(size, Size) else size, size)


def smallest_value(size: Size | Number) -> int:
    """Returns the smallest number of units that a size or plain number can take."""
    return _whole(size.minimum if isinstance(size, Size) else size, size)


def _whole(value: Number, size: Size | Number) -> int:
    if int(value) != value:
        raise SpaceError(f"{size!r} reaches {value}, not a whole number of units; use .rounded(multiple).")
    return int(value)


@dataclass(frozen=True, eq=False)
class _Constant(Size):
    number: Number

    @property
    def value(self) -> Number:
        return self.number

    @property
    def minimum(self) -> Number:
        return self.number

    @property
    def maximum(self) -> Number:
        return self.number

    @property
    def dimensions(self) -> tuple[Dimension, ...]:
        return ()

    def __repr__(self) -> str:
        return repr(self.number)


@dataclass(frozen=True, eq=False)
class _Product(Size):
    left: Size
    right: Size

    @property
    def value(self) -> Number:
        return self.left.value * self.right.value

    @property
    def minimum(self) -> Number:
        return self.left.minimum * self.right.minimum

    @property
    def maximum(self) -> Number:
        return self.left.maximum * self.right.maximum

    @property
    def dimensions(self) -> tuple[Dimension, ...]:
        return _merge(self.left, self.right)

    def __repr__(self) -> str:
        return f"({self.left!r} * {self.right!r})"


@dataclass(frozen=True, eq=False)
class _Sum(Size):
    left: Size
    right: Size

    @property
    def value(self) -> Number:
        return self.left.value + self.right.value

    @property
    def minimum(self) -> Number:
        return self.left.minimum + self.right.minimum

    @property
    def maximum(self) -> Number:
        return self.left.maximum + self.right.maximum

    @property
    def dimensions(self) -> tuple[Dimension, ...]:
        return _merge(self.left, self.right)

    def __repr__(self) -> str:
        return f"({self.left!r} + {self.right!r})"


@dataclass(frozen=True, eq=False)
class _Quotient(Size):
    left: Size
    right: Size

    def __post_init__(self) -> None:
        if self.right.minimum <= 0:
            raise SpaceError(f"{self!r} divides by a size that can be 0.")

    @property
    def value(self) -> Number:
        return self.left.value // self.right.value

    @property
    def minimum(self) -> Number:
        return self.left.minimum // self.right.maximum

    @property
    def maximum(self) -> Number:
        return self.left.maximum // self.right.minimum

    @property
    def dimensions(self) -> tuple[Dimension, ...]:
        return _merge(self.left, self.right)

    def __repr__(self) -> str:
        return f"({self.left!r} // {self.right!r})"


@dataclass(frozen=True, eq=False)
class _Rounded(Size):
    size: Size
    multiple: int

    def __post_init__(self) -> None:
        if self.multiple < 1:
            raise SpaceError(f"{self.size!r}.rounded({self.multiple}): the multiple must be at least 1.")

    def _round(self, value: Number) -> int:
        return max(1, math.floor(value / self.multiple + 0.5)) * self.multiple

    @property
    def value(self) -> Number:
        return self._round(self.size.value)

    @property
    def minimum(self) -> Number:
        return self._round(self.size.minimum)

    @property
    def maximum(self) -> Number:
        return self._round(self.size.maximum)

    @property
    def dimensions(self) -> tuple[Dimension, ...]:
        return self.size.dimensions

    def __repr__(self) -> str:
        return f"{self.size!r}.rounded({self.multiple})"


def _as_size(value: Size | Number) -> Size:
    if isinstance(value, Size):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise SpaceError(f"a size cannot be combined with {value!r}; use a finite number ≥ 0 or another size.")
    return _Constant(value)


def _merge(left: Size, right: Size) -> tuple[Dimension, ...]:
    return tuple(dict.fromkeys((*left.dimensions, *right.dimensions)))
