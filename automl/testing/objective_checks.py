"""Checks of an objective: honest finite values on a task that is no image, and no trace on the model."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import partial

from automl.host import Host
from automl.host import Objective as ObjectiveRecord
from automl.objectives import Candidate, Objective, Value, build_objective
from automl.testing.candidates import FailingNetwork, expect_unchanged, toy_candidates
from automl.testing.check import Check, expect

__all__ = ["objective_checks"]


def objective_checks(component: ObjectiveRecord, host: Host) -> list[Check]:
    """Returns the checks of an objective; it is built with its default options.

    Args:
        component: its record.
        host: where a runtime that it needs is looked up.
    """
    checks: dict[str, Callable[[Objective], None]] = {
        "measures finite values on any task": _check_values,
        "leaves the model as it was": _check_no_trace,
        "a failing candidate does not touch the others": _check_failure,
        "repeats itself and grows with the network": _check_repeats_and_grows,
    }
    subject = f"objective {component.name}"
    return [
        *(
            Check(subject, name, partial(_with_instance, component, host, function))
            for name, function in checks.items()
        ),
        Check(subject, "agrees with its record", partial(_check_record, component, host)),
    ]


def _with_instance(component: ObjectiveRecord, host: Host, function: Callable[[Objective], None]) -> None:
    function(build_objective(host, component.name))


def _check_record(component: ObjectiveRecord, host: Host) -> None:
    objective = build_objective(host, component.name)
    expect(isinstance(objective, Objective), f"{type(objective).__name__} must be an Objective.")
    expect(objective.name == component.name, f"the class is called {objective.name!r}, its record {component.name!r}.")
    expect(
        objective.unit == component.unit, f"the class measures in {objective.unit!r}, its record {component.unit!r}."
    )


def _check_values(objective: Objective) -> None:
    candidates = toy_candidates()
    for result in objective.measure_group(candidates):
        value = _value(result)
        expect(math.isfinite(value.value), f"the value is {value.value}.")
        expect((value.low is None) == (value.high is None), f"an interval has two ends, got {value}.")
        if value.low is not None and value.high is not None:
            expect(value.low <= value.value <= value.high, f"the value is outside of its interval: {value}.")
        json.dumps(value.to_json())
        json.dumps(dict(value.context))
    single = objective.measure(candidates[0])
    expect(isinstance(single, Value), f"measure gives {single!r}, expected a Value.")
    expect(objective.measure_group([]) == [], "no candidates must give no values.")


def _check_no_trace(objective: Objective) -> None:
    candidates = toy_candidates()
    before = [{n: t.clone() for n, t in c.model.state_dict().items()} for c in candidates]
    objective.measure_group(candidates)
    for candidate, state in zip(candidates, before, strict=True):
        expect_unchanged(candidate.model, state)


def _check_failure(objective: Objective) -> None:
    first, last = toy_candidates()
    broken = Candidate(first.architecture, FailingNetwork().eval(), first.task)
    results = objective.measure_group([first, broken, last])
    expect(len(results) == 3, f"3 candidates give {len(results)} results.")
    for position in (0, 2):
        _value(results[position])
    expect(isinstance(results[1], Value | Exception), f"the failing candidate gives {results[1]!r}.")


def _check_repeats_and_grows(objective: Objective) -> None:
    if not objective.repeatable:
        return
    first, again = ([_value(r).value for r in objective.measure_group(toy_candidates())] for _ in range(2))
    expect(first == again, f"a second measurement gives {again}, the first {first}; or declare 'repeatable = False'.")
    candidates = toy_candidates()
    smallest, largest = (_value(r).value for r in objective.measure_group(candidates))
    if not any(c.parts for c in candidates):  # a cost: it never looked at the data
        expect(smallest < largest, f"the smallest network costs {smallest}, the largest {largest}.")


def _value(result: Value | Exception) -> Value:
    if isinstance(result, Exception):
        raise AssertionError(f"measuring fails: {type(result).__name__}: {result}") from result
    return result
