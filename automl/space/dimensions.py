"""Dimensions: the searchable choices of a network.

A dimension is an object with a current value. Layers hold references to dimensions or to expressions of them, so two
layers that hold the same object are coupled by construction, and activating a subnetwork is setting values.
"""

from __future__ import annotations

import math
from abc import ABC
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias, overload

from automl.errors import SpaceError, did_you_mean
from automl.space.sizes import Number, Size

__all__ = ["Categorical", "Dimension", "Guard", "Ordinal", "Scalar", "as_categorical", "as_ordinal", "dimensions_of"]

Scalar: TypeAlias = int | float | str | bool


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
