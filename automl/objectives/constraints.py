"""Constraints on objectives, as users write them: ``latency<=2ms``, ``10k<=params<=100k``, ``error<3%``.

Light: no torch, so that a job is checked before anything heavy is imported.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from automl.errors import ConstraintError, did_you_mean
from automl.objectives.units import BUILT_IN_UNITS, Quantity, quantity_of, read_number

__all__ = ["Constraint", "parse_constraints"]

_FORMS: Final = "Valid forms: 'latency<=2ms', 'params>=10k', '10k<=params<=100k', 'error<3%'"
_OPERATOR: Final = re.compile(r"[<>=!≤≥]+")
_NAME: Final = re.compile(r"[^\W\d][\w.-]*")
_SPELLINGS: Final = {"≤": "<=", "≥": ">="}
_MIRRORED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


@dataclass(frozen=True)
class Constraint:
    """An interval that the value of one objective must lie in.

    Attributes:
        objective: name of the objective.
        low: lower bound in the unit of the objective; None if there is none.
        high: upper bound, likewise.
        low_strict: the value must exceed ``low``; otherwise it may equal it.
        high_strict: the value must stay below ``high``; otherwise it may equal it.
        text: the constraint as the user wrote it.

    Example:
        >>> constraint = Constraint.parse("10k <= params <= 100k")
        >>> constraint.low, constraint.high, constraint.violation(150_000)
        (10000.0, 100000.0, 0.5)
    """

    objective: str
    low: float | None
    high: float | None
    low_strict: bool
    high_strict: bool
    text: str

    @classmethod
    def parse(cls, text: str, units: Mapping[str, str] | None = None) -> Constraint:
        """Reads a constraint.

        Args:
            text: ``NAME op NUMBER``, ``NUMBER op NAME`` or ``NUMBER op NAME op NUMBER``; ``op`` is ``<``, ``<=``, ``>`` or
                ``>=``, and numbers may carry a unit.
            units: unit of each objective that may be named; left out, the built-in ones.

        Raises:
            ConstraintError: the text is malformed, names an unknown objective or a unit of the wrong kind, or no value
                can meet it; the message gives the position and the valid forms.
        """
        units = BUILT_IN_UNITS if units is None else units
        operators = list(_OPERATOR.finditer(text))
        if not operators:
            raise ConstraintError(f"constraint {text!r}: there is no comparison in it. {_FORMS}.")
        if len(operators) > 2:
            raise ConstraintError(f"{_at(text, operators[2].start())}: at most two comparisons are allowed. {_FORMS}.")
        edges = [0, *(edge for operator in operators for edge in operator.span()), len(text)]
        starts, ends = edges[::2], edges[1::2]
        operands = [text[start:end] for start, end in zip(starts, ends, strict=True)]
        places = [
            _at(text, start + len(operand) - len(operand.lstrip()))
            for start, operand in zip(starts, operands, strict=True)
        ]
        symbols = [_symbol(text, operator) for operator in operators]
        position = _position_of_name(text, operands)
        quantity = _quantity(operands[position].strip(), units, places[position])

        bounds: dict[str, tuple[float, bool]] = {}
        for index, operand in enumerate(operands):
            if index == position:
                continue
            number = read_number(operand, quantity, places[index])
            # read from the objective outwards: '10k<=params' says 'params>=10k'
            symbol = symbols[index - 1] if index > position else _MIRRORED[symbols[index]]
            side = "high" if symbol.startswith("<") else "low"
            if side in bounds:
                raise ConstraintError(f"constraint {text!r}: both comparisons must point the same way. {_FORMS}.")
            bounds[side] = (_checked(number, quantity, places[index]), not symbol.endswith("="))
        low, low_strict = bounds.get("low", (None, False))
        high, high_strict = bounds.get("high", (None, False))
        constraint = cls(quantity.objective, low, high, low_strict, high_strict, text.strip())
        if constraint.is_empty(quantity):
            raise ConstraintError(
                f"constraint {text!r} cannot be met: no value of {quantity.objective!r} satisfies it."
            )
        return constraint

    def violation(self, value: float) -> float:
        """Returns how far ``value`` lies outside, relative to the bound it breaks; 0 if it is met.

        A bound of 0 is broken by the value itself. A value that is not a number breaks every constraint infinitely.
        """
        if math.isnan(value):
            return math.inf
        excess = 0.0
        if self.high is not None and (value > self.high or (self.high_strict and value == self.high)):
            excess = (value - self.high) / (abs(self.high) or 1.0)
        elif self.low is not None and (value < self.low or (self.low_strict and value == self.low)):
            excess = (self.low - value) / (abs(self.low) or 1.0)
        else:
            return 0.0
        return max(excess, sys.float_info.epsilon)  # a value on a strict bound breaks it, if only just

    def met(self, value: float) -> bool:
        """Tells whether ``value`` satisfies the constraint."""
        return self.violation(value) == 0

    def is_empty(self, quantity: Quantity) -> bool:
        """Tells whether no value of ``quantity`` can satisfy the constraint."""
        low, low_strict = (-math.inf, False) if self.low is None else (self.low, self.low_strict)
        if quantity.non_negative and low < 0:
            low, low_strict = 0.0, False
        if self.high is None:
            return False
        return low > self.high or (low == self.high and (low_strict or self.high_strict))

    def __str__(self) -> str:
        return self.text


def parse_constraints(texts: Iterable[str], units: Mapping[str, str] | None = None) -> list[Constraint]:
    """Reads several constraints and checks that those on one objective do not contradict each other.

    Args:
        texts: constraints as ``Constraint.parse`` reads them.
        units: unit of each objective that may be named; left out, the built-in ones.

    Raises:
        ConstraintError: as ``Constraint.parse``, or two constraints exclude each other; names both.
    """
    units = BUILT_IN_UNITS if units is None else units
    constraints = [Constraint.parse(text, units) for text in texts]
    for index, first in enumerate(constraints):
        quantity = quantity_of(first.objective, units[first.objective])
        for second in constraints[:index]:
            if second.objective == first.objective and _both(second, first).is_empty(quantity):
                raise ConstraintError(
                    f"constraints {second.text!r} and {first.text!r} contradict each other: no value of "
                    f"{first.objective!r} meets both."
                )
    return constraints


def _both(first: Constraint, second: Constraint) -> Constraint:
    """The interval that meets two constraints on one objective."""
    pair = (first, second)
    lows = [(c.low, c.low_strict) for c in pair if c.low is not None]
    highs = [(c.high, not c.high_strict) for c in pair if c.high is not None]
    low, low_strict = max(lows, default=(None, False))
    high, closed = min(highs, default=(None, True))
    return Constraint(first.objective, low, high, low_strict, not closed, "")


def _at(text: str, index: int) -> str:
    return f"constraint {text!r}, character {index + 1}"


def _symbol(text: str, operator: re.Match[str]) -> str:
    symbol = _SPELLINGS.get(operator.group(), operator.group())
    if symbol not in _MIRRORED:
        raise ConstraintError(
            f"{_at(text, operator.start())}: unknown comparison {operator.group()!r}. Valid: <, <=, >, >=. {_FORMS}."
        )
    return symbol


def _position_of_name(text: str, operands: list[str]) -> int:
    names = [index for index, operand in enumerate(operands) if _NAME.fullmatch(operand.strip())]
    for index, operand in enumerate(operands):
        if not operand.strip():
            side = (
                "left of the first"
                if index == 0
                else "right of the last"
                if index == len(operands) - 1
                else "between the"
            )
            raise ConstraintError(f"constraint {text!r}: there is nothing {side} comparison. {_FORMS}.")
    if not names:
        raise ConstraintError(f"constraint {text!r}: it names no objective. {_FORMS}.")
    if len(operands) == 3 and 1 not in names:
        raise ConstraintError(f"constraint {text!r}: the objective must stand between the two numbers. {_FORMS}.")
    return 1 if len(operands) == 3 else names[0]


def _quantity(name: str, units: Mapping[str, str], where: str) -> Quantity:
    if name not in units:
        raise ConstraintError(f"{where}: unknown objective {name!r}.{did_you_mean(name, units)}")
    return quantity_of(name, units[name])


def _checked(number: float, quantity: Quantity, where: str) -> float:
    if not math.isfinite(number):
        raise ConstraintError(f"{where}: the number is too large.")
    if quantity.kind == "share" and number > 1:
        raise ConstraintError(
            f"{where}: {quantity.objective!r} is a share between 0 and 1, so {number:g} is out of range; "
            f"write '3%' or '0.03' for three per cent."
        )
    return number
