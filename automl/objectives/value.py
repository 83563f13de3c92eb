"""One measured number with its interval and the context it was measured in. Light: no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Value"]


@dataclass(frozen=True)
class Value:
    """A measured value.

    Attributes:
        value: the value in the unit of its objective; always finite.
        low: lower end of the 95 % interval; None for exact quantities.
        high: upper end, likewise.
        context: how it was measured, as JSON.

    Raises:
        ValueError: the value is not finite. A network that gives no number has failed, which is not a bad value.
    """

    value: float
    low: float | None = None
    high: float | None = None
    context: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        try:
            finite = math.isfinite(self.value)
        except TypeError:  # a complex number, None, a text
            finite = False
        if not finite:
            raise ValueError(f"the measured value is {self.value!r}, not a finite number.")

    def to_json(self) -> dict[str, Any]:
        """Returns value and interval as a JSON object; the context is left to the caller, as many values share one."""
        return {"value": self.value, "low": self.low, "high": self.high}
