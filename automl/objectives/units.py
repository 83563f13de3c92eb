"""Units of objectives: reading numbers such as ``2ms``, ``100k``, ``64KiB`` or ``3%``, and writing values into tables.

Light: no torch, so that jobs and constraints can be checked without it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from automl.errors import ConstraintError, did_you_mean

__all__ = ["BUILT_IN_UNITS", "Quantity", "format_duration", "format_value", "quantity_of", "read_number"]

BUILT_IN_UNITS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "auc-error": "",
        "error": "",
        "latency": "ms",
        "loss": "",
        "macs": "",
        "nonzero": "",
        "params": "",
        "peak-memory": "B",
        "size": "B",
        "sparse-size": "B",
    }
)
"""Unit of the values of each objective of the library; objectives of plugins declare theirs in their component record."""

_TIME: Final = {"ns": 1e-6, "us": 1e-3, "ms": 1.0, "s": 1e3}
_BYTES: Final = {
    "B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30,
}  # fmt: skip
_COUNT: Final = {"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_SHARE: Final = {"%": 0.01}
_KIND_OF_UNIT: Final = {
    **dict.fromkeys(_TIME, "time"),
    **dict.fromkeys(_BYTES, "bytes"),
    **dict.fromkeys(_COUNT, "count"),
    **dict.fromkeys(_SHARE, "share"),
}
_SPELLINGS: Final = {"µs": "us", "μs": "us", "K": "k"}
_NUMBER: Final = re.compile(r"(?P<number>[+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(?P<unit>.*)")


@dataclass(frozen=True)
class Quantity:
    """What the values of one objective are.

    Attributes:
        objective: name of the objective.
        kind: ``"share"`` (0 to 1), ``"time"``, ``"bytes"``, ``"count"`` (parameters, operations) or ``"number"``.
        unit: unit of its values; empty for pure numbers.
        factors: units that a user may write, each with its size in ``unit``.
    """

    objective: str
    kind: str
    unit: str
    factors: Mapping[str, float]

    @property
    def non_negative(self) -> bool:
        """Whether no value can be below 0; unknown numbers may be."""
        return self.kind != "number"

    @property
    def spelled(self) -> str:
        """The valid units as a sentence part."""
        plain = f"no unit (= {self.unit})" if self.unit else "no unit"
        return ", ".join([plain, *self.factors])


def quantity_of(objective: str, unit: str) -> Quantity:
    """Returns what values of an objective with this unit are.

    Args:
        objective: its name; ``error`` and names that end in ``-error`` or ``_error`` are shares, written in per cent.
        unit: the unit of its component record, such as ``"ms"``.
    """
    if unit in _TIME:
        return Quantity(objective, "time", unit, {name: size / _TIME[unit] for name, size in _TIME.items()})
    if unit in _BYTES:
        return Quantity(objective, "bytes", unit, {name: size / _BYTES[unit] for name, size in _BYTES.items()})
    if unit:
        return Quantity(objective, "number", unit, {unit: 1.0})
    if re.fullmatch(r"(.*[-_ .])?error", objective):
        return Quantity(objective, "share", unit, _SHARE)
    if objective in ("params", "macs", "nonzero"):
        return Quantity(objective, "count", unit, _COUNT)
    return Quantity(objective, "number", unit, _COUNT)


def read_number(text: str, quantity: Quantity, where: str) -> float:
    """Returns a number with an optional unit in the unit of the objective.

    Args:
        text: what the user wrote, such as ``"2ms"`` or ``"1.5 MiB"``.
        quantity: what the number is compared with.
        where: place of the text; messages start with it.

    Raises:
        ConstraintError: no number, an unknown unit, or a unit of the wrong kind.

    Example:
        >>> read_number("250us", quantity_of("latency", "ms"), where="")
        0.25
    """
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        raise ConstraintError(f"{where}: {text.strip()!r} is not a number; write one such as '2' or '1.5e3'.")
    number, unit = float(match["number"].replace("_", "")), match["unit"].strip()
    unit = _SPELLINGS.get(unit, unit)
    if not unit:
        return number
    if unit in quantity.factors:
        return number * quantity.factors[unit]
    if unit in _KIND_OF_UNIT:
        raise ConstraintError(
            f"{where}: {unit!r} is a unit of {_KIND_OF_UNIT[unit]}, but {quantity.objective!r} is "
            f"{_described(quantity)}. Valid: {quantity.spelled}."
        )
    hint = did_you_mean(unit, quantity.factors).split(" Valid:")[0]
    raise ConstraintError(
        f"{where}: unknown unit {unit!r}.{hint} Valid for {quantity.objective!r}: {quantity.spelled}."
    )


def format_value(objective: str, value: float | None, unit: str | None = None) -> str:
    """Returns a value with its unit and three significant digits; ``–`` for a missing one.

    Args:
        objective: name of the objective.
        value: value in the unit of the objective.
        unit: unit of the objective; left out, that of a built-in objective.

    Example:
        >>> format_value("latency", 1.5342), format_value("error", 0.0213), format_value("size", 45_600)
        ('1.53 ms', '2.13 %', '45.6 kB')
    """
    if value is None:
        return "–"
    quantity = quantity_of(objective, BUILT_IN_UNITS.get(objective, "") if unit is None else unit)
    if quantity.kind == "share":
        return f"{100 * value:.2f} %"
    if quantity.kind in ("bytes", "count"):
        scale = quantity.factors.get("B", 1.0)
        for factor, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
            # 999 950 is written as 1 M: what is compared is the number as it will be printed
            if abs(float(f"{value / scale:.3g}")) >= factor:
                return f"{value / scale / factor:.3g} {prefix}{'B' if quantity.kind == 'bytes' else ''}".rstrip()
        return f"{value / scale:.4g} {'B' if quantity.kind == 'bytes' else ''}".rstrip()
    return f"{value:.3g} {quantity.unit}".rstrip()


def format_duration(seconds: float) -> str:
    """Returns a time that people wait, in whole units.

    Example:
        >>> format_duration(4.6), format_duration(83.4), format_duration(7_322)
        ('5 s', '1 min 23 s', '2 h 2 min')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _described(quantity: Quantity) -> str:
    return {
        "share": "a share between 0 and 1",
        "time": "a time",
        "bytes": "a number of bytes",
        "count": "a count",
    }.get(quantity.kind, f"measured in {quantity.unit}" if quantity.unit else "a plain number")
