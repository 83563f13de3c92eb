"""What is known about one candidate: the outcome of its evaluation, and the numbered record of it in a search."""

from __future__ import annotations

import math
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from automl.space import Architecture

__all__ = ["Measurement", "Outcome"]

_LONGEST_FAILURE: Final = 20_000
_LONGEST_VALUE: Final = 120


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
            values = _listed(self.values, len(objectives))
            if len(values) != len(objectives):
                raise ValueError(
                    f"expected {len(objectives)} values ({', '.join(objectives)}), got {len(values)}: {_short(values)}."
                )
            named = [(f"objective {name!r}", value) for name, value in zip(objectives, values, strict=True)]
            if any(isinstance(value, bool | np.bool_) for value in values):
                raise ValueError(f"the values {_short(values)} hold truth values; they must be finite numbers.")
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

    @classmethod
    def of(cls, architecture: Architecture, outcome: Outcome, details: Mapping[str, Any]) -> Measurement:
        """Returns what an outcome says about an architecture, with the given details."""
        values = None if outcome.values is None else tuple(outcome.values)
        return cls(
            architecture=architecture,
            values=values,
            violations=tuple(outcome.violations),
            details=details,
            failure=outcome.failure,
        )

    @property
    def fidelity(self) -> float:
        """Share of the validation samples that it was measured on; below 1 if it was stopped early."""
        return float(self.details.get("fidelity", 1.0))

    @property
    def complete(self) -> bool:
        """Whether it was measured on all validation samples. The values of others are estimates, good to learn from only."""
        return self.values is not None and self.fidelity >= 1

    @property
    def feasible(self) -> bool:
        """Whether it was measured in full and meets every constraint: only such a measurement may enter a front."""
        return self.complete and not any(violation > 0 for violation in self.violations)


def _listed(values: Any, count: int) -> list[Any]:
    if isinstance(values, str | bytes | Mapping) or not hasattr(values, "__iter__"):
        raise TypeError(
            f"the values are {_short(values)}; they must be a sequence, one number per objective ({count})."
        )
    return list(values)


def _number(name: str, value: object) -> float:
    try:
        # float() would drop the imaginary part of NumPy's complex numbers, and read numbers out of texts.
        real = not isinstance(value, str | bytes | np.complexfloating)
        number = float(value) if real else math.nan  # type: ignore[arg-type]
    except Exception as error:  # tensors and other foreign types raise what they like
        raise ValueError(f"{name} is {_short(value)}; it must be a finite number.") from error
    if not math.isfinite(number):
        raise ValueError(f"{name} is {_short(value)}; it must be a finite number.")
    return number


def _short(value: object) -> str:
    """One line that shows what was given."""
    text = " ".join(repr(value).split())
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


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
