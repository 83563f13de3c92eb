"""Checks of a runtime: sessions run, live side by side, and leave the model alone."""

from __future__ import annotations

from functools import partial

from automl.host import Host
from automl.host import Runtime as RuntimeRecord
from automl.objectives import Candidate
from automl.objectives.runtimes import Runtime
from automl.testing.candidates import FailingNetwork, expect_unchanged, toy_candidates
from automl.testing.check import Check, expect

__all__ = ["runtime_checks"]


def runtime_checks(component: RuntimeRecord, host: Host) -> list[Check]:
    """Returns the checks of a runtime."""
    subject = f"runtime {component.name}"
    return [
        Check(subject, "sessions of several models run side by side", partial(_check_sessions, component)),
        Check(subject, "a model that cannot run is an error", partial(_check_failure, component)),
    ]


def _check_sessions(component: RuntimeRecord) -> None:
    runtime: Runtime = component.load()()
    expect(isinstance(runtime, Runtime), f"{type(runtime).__name__} must be a Runtime.")
    expect(runtime.name == component.name, f"the class is called {runtime.name!r}, its record {component.name!r}.")
    candidates = toy_candidates()
    before = [{n: t.clone() for n, t in c.model.state_dict().items()} for c in candidates]
    sessions = [
        runtime.prepare(c.model, c.example_inputs(batch), threads=1, trace=c.trace)
        for c in candidates
        for batch in (1, 4)
    ]
    for _ in range(2):
        for session in sessions:
            session()
    for candidate, state in zip(candidates, before, strict=True):
        expect_unchanged(candidate.model, state)


def _check_failure(component: RuntimeRecord) -> None:
    runtime: Runtime = component.load()()
    candidate = toy_candidates()[0]
    broken = Candidate(candidate.architecture, FailingNetwork().eval(), candidate.task)
    try:
        runtime.prepare(broken.model, broken.example_inputs(1), threads=1, trace=broken.trace)()
    except Exception:
        return
    raise AssertionError("a model that raises is timed as if it had run.")
