"""Units: what users may write behind numbers, and how values stand in tables."""

from __future__ import annotations

import re

import pytest

from automl.errors import ConstraintError
from automl.objectives.units import BUILT_IN_UNITS, format_value, quantity_of, read_number


@pytest.mark.parametrize(
    ("objective", "text", "value"),
    [
        ("latency", "2", 2.0),
        ("latency", "2ms", 2.0),
        ("latency", "250 us", 0.25),
        ("latency", "250µs", 0.25),
        ("latency", "1.5s", 1500.0),
        ("latency", "700ns", 7e-4),
        ("params", "100k", 1e5),
        ("params", "1.5M", 1.5e6),
        ("params", "12_345", 12345.0),
        ("macs", "2G", 2e9),
        ("macs", ".5k", 500.0),
        ("size", "45", 45.0),
        ("size", "45kB", 45e3),
        ("size", "3KiB", 3072.0),
        ("peak-memory", "1.5 MiB", 1.5 * 2**20),
        ("peak-memory", "2MB", 2e6),
        ("error", "3%", 0.03),
        ("error", "0.03", 0.03),
        ("loss", "1e-2", 0.01),
    ],
)
def test_a_number_is_read_in_the_unit_of_its_objective(objective: str, text: str, value: float) -> None:
    quantity = quantity_of(objective, BUILT_IN_UNITS[objective])
    assert read_number(text, quantity, where="") == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    ("objective", "text", "message"),
    [
        ("latency", "2mss", "here: unknown unit 'mss'. Did you mean 'ms'"),
        ("latency", "2kB", "'kB' is a unit of bytes, but 'latency' is a time"),
        ("params", "2ms", "'ms' is a unit of time, but 'params' is a count"),
        ("size", "2%", "'%' is a unit of share, but 'size' is a number of bytes"),
        ("size", "2kb", "unknown unit 'kb'. Did you mean 'kB'"),
        ("size", "two", "'two' is not a number"),
        ("size", "1.2.3", "unknown unit '.3'"),
        ("loss", "", "'' is not a number"),
    ],
)
def test_a_wrong_unit_is_refused_with_the_valid_ones(objective: str, text: str, message: str) -> None:
    with pytest.raises(ConstraintError, match=re.escape(message)):
        read_number(text, quantity_of(objective, BUILT_IN_UNITS[objective]), where="here")


def test_an_objective_of_a_plugin_takes_its_own_unit_and_no_other() -> None:
    energy = quantity_of("my.energy", "mJ")
    assert read_number("3.5 mJ", energy, where="") == 3.5
    with pytest.raises(ConstraintError, match="measured in mJ"):
        read_number("3ms", energy, where="")


def test_times_of_a_plugin_in_seconds_are_scaled_to_seconds() -> None:
    assert read_number("20ms", quantity_of("my.start-up", "s"), where="") == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("objective", "value", "text"),
    [
        ("latency", 1.5342, "1.53 ms"),
        ("latency", 0.0123, "0.0123 ms"),
        ("error", 0.0213, "2.13 %"),
        ("error", 0.0, "0.00 %"),
        ("params", 12_345.0, "12.3 k"),
        ("params", 999.0, "999"),
        ("params", 999_999.0, "1 M"),
        ("macs", 2.5e9, "2.5 G"),
        ("size", 45_600.0, "45.6 kB"),
        ("size", 7.0, "7 B"),
        ("loss", 0.12345, "0.123"),
        ("latency", None, "–"),
    ],
)
def test_values_are_written_with_unit_and_three_digits(objective: str, value: float | None, text: str) -> None:
    assert format_value(objective, value) == text


def test_a_unit_that_is_given_wins_over_the_name() -> None:
    assert format_value("my.energy", 0.25, unit="mJ") == "0.25 mJ"
    assert format_value("my-error", 0.25, unit="") == "25.00 %"
