"""Constraints: reading them, their errors, and how far a value is from meeting them."""

from __future__ import annotations

import math
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl.errors import ConstraintError
from automl.objectives.constraints import Constraint, parse_constraints


@pytest.mark.parametrize(
    ("text", "objective", "low", "high", "strict"),
    [
        ("latency<=2ms", "latency", None, 2.0, (False, False)),
        ("latency < 2ms", "latency", None, 2.0, (False, True)),
        ("params>=10k", "params", 1e4, None, (False, False)),
        ("10k<=params<=100k", "params", 1e4, 1e5, (False, False)),
        ("10k<params<=100k", "params", 1e4, 1e5, (True, False)),
        ("100k >= params > 10k", "params", 1e4, 1e5, (True, False)),
        ("10k<params", "params", 1e4, None, (True, False)),
        ("2 ms ≥ latency", "latency", None, 2.0, (False, False)),
        ("error<3%", "error", None, 0.03, (False, True)),
        ("peak-memory<=1.5MiB", "peak-memory", None, 1.5 * 2**20, (False, False)),
        ("loss>=-1", "loss", -1.0, None, (False, False)),
    ],
)
def test_constraints_are_read(
    text: str, objective: str, low: float | None, high: float | None, strict: tuple[bool, bool]
) -> None:
    constraint = Constraint.parse(text)
    assert (constraint.objective, constraint.low, constraint.high) == (objective, low, high)
    assert (constraint.low_strict, constraint.high_strict) == strict
    assert str(constraint) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "there is no comparison"),
        ("latency", "there is no comparison"),
        ("latency=2ms", "character 8: unknown comparison '='. Valid: <, <=, >, >="),
        ("latency<<2ms", "character 8: unknown comparison '<<'"),
        ("latency=<2ms", "unknown comparison '=<'"),
        ("latency<=", "there is nothing right of the last comparison"),
        ("<=2ms", "there is nothing left of the first comparison"),
        ("1ms<=latency<=2ms<=3ms", "character 18: at most two comparisons"),
        ("1ms<=latency>=2ms", "both comparisons must point the same way"),
        ("latency<=1ms<=2ms", "the objective must stand between the two numbers"),
        ("2ms<=3ms", "it names no objective"),
        ("latencey<=2ms", "character 1: unknown objective 'latencey'. Did you mean 'latency'?"),
        ("10k<=  parms<=100k", "character 8: unknown objective 'parms'. Did you mean 'params'"),
        ("latency<=2mss", "character 10: unknown unit 'mss'"),
        ("latency <=  2kB", "character 13: 'kB' is a unit of bytes, but 'latency' is a time"),
        ("latency<=fast", "character 10: 'fast' is not a number"),
        ("latency<=1e999", "character 10: the number is too large"),
        ("error<3", "character 7: 'error' is a share between 0 and 1, so 3 is out of range; write '3%'"),
        ("latency<0", "cannot be met"),
        ("latency<=-1ms", "cannot be met"),
        ("100k<=params<=10k", "cannot be met"),
        ("10k<params<=10k", "cannot be met"),
    ],
)
def test_malformed_constraints_say_where_and_what_is_valid(text: str, message: str) -> None:
    with pytest.raises(ConstraintError, match=re.escape(message)) as caught:
        Constraint.parse(text)
    assert repr(text) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_objectives_of_plugins_can_be_constrained() -> None:
    constraint = Constraint.parse("my.energy <= 3 mJ", units={"my.energy": "mJ", "error": ""})
    assert (constraint.objective, constraint.high) == ("my.energy", 3.0)


def test_a_single_point_is_a_constraint() -> None:
    point = Constraint.parse("5<=params<=5")
    assert point.met(5)
    assert not point.met(6)


def test_contradicting_constraints_are_refused_and_both_named() -> None:
    with pytest.raises(ConstraintError, match=re.escape("'params<=10k' and 'params>10k' contradict each other")):
        parse_constraints(["params<=10k", "latency<=2ms", "params>10k"])


def test_constraints_that_overlap_or_touch_are_kept() -> None:
    kept = parse_constraints(["params<=10k", "params>=10k", "latency<=2ms", "latency<=1ms"])
    assert [constraint.text for constraint in kept] == ["params<=10k", "params>=10k", "latency<=2ms", "latency<=1ms"]


def test_violation_is_relative_to_the_broken_bound() -> None:
    interval = Constraint.parse("10k<=params<=100k")
    assert interval.violation(150_000) == pytest.approx(0.5)
    assert interval.violation(2_500) == pytest.approx(0.75)
    assert interval.violation(10_000) == interval.violation(100_000) == interval.violation(50_000) == 0
    assert Constraint.parse("error<=0%").violation(0.25) == 0.25
    assert interval.violation(math.nan) == math.inf


def test_a_strict_bound_is_broken_by_its_own_value() -> None:
    strict, closed = Constraint.parse("latency<2ms"), Constraint.parse("latency<=2ms")
    assert strict.violation(2.0) > 0
    assert not strict.met(2.0)
    assert closed.violation(2.0) == 0


bounds = st.floats(1e-3, 1e6, allow_nan=False)


@given(bounds, bounds, st.floats(0, 1e7, allow_nan=False), st.booleans(), st.booleans())
def test_violation_is_zero_exactly_inside_and_grows_outside(
    first: float, second: float, value: float, low_strict: bool, high_strict: bool
) -> None:
    low, high = sorted((first, second))
    if low == high:
        return
    text = f"{low!r}{'<' if low_strict else '<='}latency{'<' if high_strict else '<='}{high!r}"
    constraint = Constraint.parse(text)
    inside = (low < value or (low == value and not low_strict)) and (
        value < high or (value == high and not high_strict)
    )
    violation = constraint.violation(value)
    assert violation >= 0
    assert (violation == 0) == inside == constraint.met(value)
    if value > high:
        assert constraint.violation(2 * value) > violation
    if low / 1e6 < value < low:
        assert constraint.violation(value / 2) > violation


def test_constraints_are_read_without_torch() -> None:
    script = (
        "import sys, automl.objectives.constraints, automl.objectives.feasibility, automl.objectives as o;"
        "o.Constraint.parse('latency<=2ms'); o.format_value('size', 3.0); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
