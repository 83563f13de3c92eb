"""Dimensions: the searchable choices of a network, and the sizes derived from them.

A dimension is an object with a current value. Layers hold references to dimensions or to expressions of them, so two
layers that hold the same object are coupled by construction, and activating a subnetwork is setting values.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias, overload

from automl.errors import SpaceError, did_you_mean

__all__ = [
    "Categorical",
    "Dimension",
    "Guard",
    "Number",
    "Ordinal",
    "Scalar",
    "Size",
    "SizeLike",
    "as_categorical",
    "as_ordinal",
    "dimensions_of",
    "largest_value",
    "smallest_value",
]

Number: TypeAlias = int | float
Scalar: TypeAlias = int | float | str | bool


class Size(ABC):
    """A number of units (channels, heads, blocks) that may depend on dimensions.

    Sizes combine with ``*``, ``+`` and ``//`` into further sizes and read as plain numbers through ``int()``, so code that
    uses one works unchanged on the number that replaces it in an extracted model.

    Example:
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


class Dimension(ABC):
    """One searchable choice with a current value.

    Attributes:
        choices: all values, without repetition.
    """

    choices: tuple[Scalar, ...]
    _positions: dict[Scalar, int]
    _index: int

    def _set_choices(self, choices: Sequence[Scalar], start: int) -> None:
        if not choices:
            raise SpaceError(f"{type(self).__name__} needs at least one choice, got none.")
        positions = {choice: i for i, choice in enumerate(choices)}
        if len(positions) != len(choices):
            raise SpaceError(f"{type(self).__name__}{tuple(choices)} repeats a choice; every choice may occur once.")
        self.choices = tuple(choices)
        self._positions = positions
        self._index = start

    @property
    def index(self) -> int:
        """Position of the current value among the choices."""
        return self._index

    def position(self, value: object) -> int:
        """Returns the position of a value among the choices.

        Raises:
            SpaceError: the value is not a choice.
        """
        try:
            return self._positions[value]  # type: ignore[index]
        except (KeyError, TypeError):
            near = did_you_mean(str(value), map(str, self.choices))
            raise SpaceError(f"{value!r} is not a choice of {self!r}.{near}") from None

    def set_index(self, index: int) -> None:
        """Makes the choice at a position the current value."""
        self._index = range(len(self.choices))[index]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.choices))})"


class Ordinal(Dimension, Size):
    """Ordered numeric choices, where a small one is a prefix slice of a large one.

    Args:
        *choices: finite numbers that are not negative, in increasing order. The current value starts at the largest.

    Raises:
        SpaceError: no choice, an unordered or repeated choice, or one that is no such number.

    Example:
        >>> depth = Ordinal(1, 2, 4)
        >>> depth.value, int(depth * 2)
        (4, 8)
    """

    choices: tuple[Number, ...]

    def __init__(self, *choices: Number) -> None:
        for choice in choices:
            if isinstance(choice, bool) or not isinstance(choice, int | float) or not 0 <= choice < math.inf:
                raise SpaceError(f"Ordinal{choices}: {choice!r} is not a finite number ≥ 0; use Categorical for it.")
        if any(a >= b for a, b in pairwise(choices)):
            raise SpaceError(f"Ordinal{choices}: choices must increase; write {tuple(sorted(set(choices)))}.")
        self._set_choices(choices, len(choices) - 1)

    @property
    def value(self) -> Number:
        """The current choice."""
        return self.choices[self._index]

    @value.setter
    def value(self, value: Number) -> None:
        self._index = self.position(value)

    @property
    def minimum(self) -> Number:
        """The first choice."""
        return self.choices[0]

    @property
    def maximum(self) -> Number:
        """The last choice."""
        return self.choices[-1]

    @property
    def dimensions(self) -> tuple[Dimension, ...]:
        """This dimension itself."""
        return (self,)


class Categorical(Dimension):
    """Unordered choices.

    Args:
        *choices: strings, numbers or booleans. The current value starts at the first.

    Raises:
        SpaceError: no choice, a repeated choice, or one that JSON cannot hold.

    Example:
        >>> Categorical("max", "mean").value
        'max'
    """

    def __init__(self, *choices: Scalar) -> None:
        for choice in choices:
            finite = not isinstance(choice, float) or math.isfinite(choice)
            if not isinstance(choice, str | int | float) or not finite:
                raise SpaceError(f"Categorical{choices}: {choice!r} is not a string, finite number or boolean.")
        self._set_choices(choices, 0)

    @property
    def value(self) -> Scalar:
        """The current choice."""
        return self.choices[self._index]

    @value.setter
    def value(self, value: Scalar) -> None:
        self._index = self.position(value)


@dataclass(frozen=True)
class Guard:
    """A condition: the guarded part exists while ``dimension`` is active and its value is one of ``values``."""

    dimension: Dimension
    values: frozenset[Scalar]

    @classmethod
    def above(cls, dimension: Ordinal, bound: Number) -> Guard:
        """Returns the guard ``dimension > bound``."""
        return cls(dimension, frozenset(c for c in dimension.choices if c > bound))


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


@overload
def as_ordinal(choices: Number) -> Number: ...
@overload
def as_ordinal(choices: Iterable[Number]) -> Number | Ordinal: ...
def as_ordinal(choices: Number | Iterable[Number]) -> Number | Ordinal:
    """Returns an ``Ordinal`` of several choices; a single choice is fixed and stays a plain number."""
    if isinstance(choices, int | float):
        return choices
    values = list(choices)
    return values[0] if len(values) == 1 else Ordinal(*values)


def as_categorical(choices: Scalar | Iterable[Scalar]) -> Scalar | Categorical:
    """Returns a ``Categorical`` of several choices; a single choice is fixed and stays a plain value."""
    if isinstance(choices, str | int | float):
        return choices
    values = list(choices)
    return values[0] if len(values) == 1 else Categorical(*values)


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


def dimensions_of(value: object) -> tuple[Dimension, ...]:
    """Returns the dimensions inside a dimension, size, or list, tuple or mapping of such, in order of appearance."""
    if isinstance(value, Dimension):
        return (value,)
    if isinstance(value, Size):
        return value.dimensions
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return tuple(dict.fromkeys(d for item in value for d in dimensions_of(item)))
    return ()
