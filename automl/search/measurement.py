"""What is known about one candidate: the outcome of its evaluation, and the numbered record of it in a search."""

from __future__ import annotations

import cmath
import math
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from automl.space import Architecture

__all__ = ["Measurement", "Outcome"]

_LONGEST_FAILURE: Final = 20_000


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What an evaluation function gives back for one architecture.

    Attributes:
        values: one number per objective, all minimised; ``None`` if the candidate failed.
        violations: one number per constraint: 0 where it holds, else how far it is from holding, in any unit.
        details: whatever else is worth keeping, such as intervals and measuring context; made JSON-able when recorded.
        failure: why there are no values, best with a traceback.
    """

    values: Sequence[float] | None = None
    violations: Sequence[float] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    failure: str | None = None

    @classmethod
    def failed(cls, error: BaseException, details: Mapping[str, Any] | None = None) -> Outcome:
        """Returns the outcome of a candidate whose evaluation raised ``error``, with its traceback."""
        return cls(failure="".join(traceback.format_exception(error)).strip(), details=details or {})

    def checked(self, objectives: Sequence[str]) -> Outcome:
        """Returns this outcome with plain finite floats, or as a failure that says which value is unusable.

        Args:
            objectives: names of the objectives, one for each value.
        """
        details = _plain(self.details)
        if self.failure is not None or self.values is None:
            failure = self.failure or "the evaluation returned no values."
            if len(failure) > _LONGEST_FAILURE:
                failure = failure[: _LONGEST_FAILURE // 2] + "\n[...]\n" + failure[-_LONGEST_FAILURE // 2 :]
            return Outcome(failure=failure, details=details)
        try:
            values = list(self.values)
            if len(values) != len(objectives):
                raise ValueError(
                    f"expected {len(objectives)} values ({', '.join(objectives)}), got {len(values)}: {values!r}."
                )
            named = [(f"objective {name!r}", value) for name, value in zip(objectives, values, strict=True)]
            named += [(f"violation {i}", value) for i, value in enumerate(self.violations)]
            numbers = [_number(name, value) for name, value in named]
        except (TypeError, ValueError) as error:
            return Outcome(failure=str(error), details=details)
        return Outcome(
            values=tuple(numbers[: len(values)]),
            violations=tuple(max(0.0, number) for number in numbers[len(values) :]),
            details=details,
        )


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One candidate of a search, measured or failed.

    Attributes:
        architecture: what was measured.
        values: one finite number per objective, all minimised; ``None`` if the candidate failed.
        violations: one number ≥ 0 per constraint, 0 where it holds; empty without constraints.
        details: JSON values that are kept with it.
        failure: reason and traceback of a failed candidate.
        number: position in its search, from 0; -1 before it is recorded.
    """

    architecture: Architecture
    values: tuple[float, ...] | None
    violations: tuple[float, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    failure: str | None = None
    number: int = -1

    @property
    def feasible(self) -> bool:
        """Whether it was measured and meets every constraint."""
        return self.values is not None and not any(violation > 0 for violation in self.violations)


def _number(name: str, value: object) -> float:
    if isinstance(value, complex) and not cmath.isnan(value):
        raise ValueError(f"{name} is {value!r}, a complex number; it must be a finite real one.")
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} is {value!r}; it must be a finite number.") from error
    if isinstance(value, str) or not math.isfinite(number):
        raise ValueError(f"{name} is {value!r}; it must be a finite number.")
    return number


def _plain(value: Any) -> Any:
    """Nearest JSON value: containers are copied, numbers of arrays become Python's, anything else its text."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        # JSON has no word for these, and a reader other than Python's would refuse the whole record.
        return float(value) if math.isfinite(value) else str(value)
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, bytes):
        return [_plain(item) for item in value]
    return str(value)
