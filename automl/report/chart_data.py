"""The numbers behind the charts of the page, as one compact JSON-able object that the script of the page draws."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from automl.report.axis import TEST_ERROR, Axis
from automl.report.growth import Growth, trial_front
from automl.report.record import RunRecord
from automl.report.table import sorted_members

__all__ = ["chart_data"]

CURVES = ("smallest", "random", "largest")


def chart_data(record: RunRecord, growth: Growth | None) -> dict[str, Any]:
    """Returns what the charts need; columns instead of rows, five significant digits, so 50,000 trials stay small."""
    return {
        "objectives": [_describe(axis) for axis in record.axes],
        "testError": _describe(TEST_ERROR),
        "trials": _trials(record),
        "front": _front(record),
        "anchors": [
            {"name": name, "values": _scaled(anchor.get("values") or {}, record.axes)}
            for name, anchor in record.anchors.items()
        ],
        "training": _training(record.training),
        "growth": _growth(growth),
    }


def _describe(axis: Axis) -> dict[str, Any]:
    return {
        "name": axis.name,
        "label": axis.label,
        "title": axis.title,
        "symbol": axis.symbol,
        "count": axis.is_large,
    }


def _trials(record: RunRecord) -> dict[str, Any]:
    trials = record.trials
    columns = [
        [_short(value * axis.scale) for value in trials.values[:, i].tolist()]
        for i, axis in enumerate(record.axes)
        if i < trials.values.shape[1]
    ]
    return {
        "ids": trials.ids,
        "numbers": trials.numbers,
        "columns": columns,
        "infeasible": np.flatnonzero(~trials.feasible).tolist(),
        "stopped": np.flatnonzero(trials.feasible & ~trials.complete).tolist(),
    }


def _front(record: RunRecord) -> list[dict[str, Any]]:
    if not record.members:
        return _front_so_far(record)
    entries = []
    for member in sorted_members(record):
        intervals = []
        for axis in record.axes:
            interval = member.interval(axis.name)
            intervals.append(interval and [_short(bound * axis.scale) for bound in interval])
        finals = {q.name: member.value(q.name) for q in record.axes}
        entries.append(
            {
                "id": member.id,
                "number": member.number,
                "kind": member.kind if record.has_kinds else "",
                "badges": record.badges.get(member.id, []),
                "searched": _scaled(member.searched, record.axes),
                "measured": _scaled(finals, record.axes),
                "intervals": intervals,
                "test": _short(member.test["error"] * TEST_ERROR.scale) if "error" in member.test else None,
            }
        )
    return entries


def _front_so_far(record: RunRecord) -> list[dict[str, Any]]:
    """The non-dominated trials of a search that has not ended: as searched, nothing measured again."""
    entries = []
    for i in trial_front(record.trials):
        values = [_short(v * q.scale) for v, q in zip(record.trials.values[i], record.axes, strict=False)]
        entries.append(
            {
                "id": record.trials.ids[i],
                "number": record.trials.numbers[i],
                "kind": "",
                "badges": [],
                "searched": values,
                "measured": values,
                "intervals": [None] * len(values),
                "test": None,
            }
        )
    return entries


def _scaled(values: Mapping[str, float | None], axes: Sequence[Axis]) -> list[float | None]:
    found = [(values.get(axis.name), axis.scale) for axis in axes]
    return [None if value is None else _short(value * scale) for value, scale in found]


def _training(history: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    if not history:
        return None
    scale = Axis("error").scale
    return {
        "epochs": [record.get("epoch", i) for i, record in enumerate(history)],
        "loss": [_short(record.get("loss")) for record in history],
        "error": {
            name: [_short(_error(record, name), scale) for record in history]
            for name in CURVES
            if any(_error(record, name) is not None for record in history)
        },
    }


def _error(record: Mapping[str, Any], name: str) -> float | None:
    quality = (record.get("validation") or {}).get(name) or {}
    return quality.get("error") if isinstance(quality, Mapping) else None


def _growth(growth: Growth | None) -> dict[str, Any] | None:
    if growth is None:
        return None
    return {
        "trials": growth.trials,
        "values": [_short(value) for value in growth.values],
        "label": growth.label,
    }


def _short(value: float | None, scale: float = 1.0) -> float | None:
    """Five significant digits; None for what JSON cannot hold."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value * scale:.5g}")
