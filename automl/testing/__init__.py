"""The conformance kit for plugin authors. Loaded on first use: the checks of searchers hold without torch."""

from typing import TYPE_CHECKING

from automl._lazy import lazy_names

if TYPE_CHECKING:
    from automl.testing.check import Check, expect
    from automl.testing.registry import all_checks, checks_for, plugin_checks

__all__ = ["Check", "all_checks", "checks_for", "expect", "plugin_checks"]

__getattr__ = lazy_names(
    __name__,
    {
        "Check": "automl.testing.check",
        "expect": "automl.testing.check",
        "all_checks": "automl.testing.registry",
        "checks_for": "automl.testing.registry",
        "plugin_checks": "automl.testing.registry",
    },
)
