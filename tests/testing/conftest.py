"""Components that live in a module made for one test."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator

import pytest

from automl.testing import Check


@pytest.fixture
def target() -> Iterator[Callable[[object], str]]:
    """Returns a function that makes a class importable and returns its target for a record."""
    module = types.ModuleType("component_under_test")
    sys.modules[module.__name__] = module

    def place(value: object) -> str:
        vars(module)["Component"] = value
        return f"{module.__name__}:Component"

    yield place
    del sys.modules[module.__name__]


@pytest.fixture
def failures() -> Callable[[list[Check]], dict[str, str]]:
    """Returns a function that runs checks and gives the messages of those that fail, by name."""

    def run(checks: list[Check]) -> dict[str, str]:
        found = {}
        for check in checks:
            try:
                check()
            except AssertionError as error:
                found[check.name] = str(error)
        return found

    return run
