"""Settings for the whole suite."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "suite",
    deadline=None,
    max_examples=int(os.environ.get("AUTOML_HYPOTHESIS_EXAMPLES", "60")),
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
settings.load_profile("suite")


@pytest.fixture(autouse=True)
def _one_thread_each(request: pytest.FixtureRequest) -> None:
    """Workers of a parallel test run share few cores; more threads than cores only wait for each other."""
    import sys

    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
