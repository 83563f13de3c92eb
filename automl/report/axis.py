"""An axis of a chart, or a column of a table: an objective with its unit and how its numbers are written."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

from automl.objectives.units import Quantity, format_value, quantity_of

__all__ = ["TEST_ERROR", "Axis"]

_TITLES: Final = {
    "error": "validation error",
    "loss": "validation loss",
    "nonzero": "parameters that are not zero",
    "params": "parameters",
    "macs": "multiply-accumulates",
    "size": "model size",
    "sparse-size": "size without zeros",
    "peak-memory": "peak memory",
}


@dataclass(frozen=True)
class Axis:
    """What is drawn along an axis.

    Attributes:
        name: name of the objective.
        unit: unit of its values in plain text; empty for pure numbers.
    """

    name: str
    unit: str = ""

    @cached_property
    def quantity(self) -> Quantity:
        """What the values are."""
        return quantity_of(self.name, self.unit)

    @property
    def title(self) -> str:
        """What the objective is called, without its unit."""
        return _TITLES.get(self.name, self.name)

    @property
    def symbol(self) -> str:
        """Unit of the numbers on the axis."""
        return "%" if self.quantity.kind == "share" else self.unit

    @property
    def label(self) -> str:
        """Title with unit."""
        return f"{self.title} ({self.symbol})" if self.symbol else self.title

    @property
    def is_large(self) -> bool:
        """Whether numbers are written with a prefix, such as 12.3 k."""
        return self.quantity.kind in ("count", "bytes")

    @property
    def scale(self) -> float:
        """Factor from values to the numbers on the axis."""
        return 100.0 if self.quantity.kind == "share" else 1.0

    def format(self, value: float | None) -> str:
        """Returns a value with its unit and three significant digits; ``–`` for a missing one."""
        return format_value(self.name, value, self.unit)

    def format_interval(self, low: float, high: float) -> str:
        """Returns an interval without unit, for the small print behind a value."""
        return f"{low * self.scale:.3g}–{high * self.scale:.3g}"


TEST_ERROR: Final = Axis("test error")
