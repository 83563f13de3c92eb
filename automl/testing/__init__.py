"""The conformance kit for plugin authors; imports pytest only where a check is skipped."""

from automl.testing.check import Check, expect
from automl.testing.registry import all_checks, checks_for, plugin_checks

__all__ = ["Check", "all_checks", "checks_for", "expect", "plugin_checks"]
