"""Calls of the observer hooks: an observer that raises is reported once and never ends the job."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import pluggy

from automl.host.hookspecs import PROJECT

if TYPE_CHECKING:
    from automl.search import Measurement

__all__ = ["Observers", "trace_to_stderr"]

_logger = logging.getLogger(__name__)

Trace = Callable[[str, str, Mapping[str, Any], object], None]
"""Called with hook, plugin, arguments and result of every hook call."""


class Observers:
    """The observer hooks of all plugins as methods; see ``automl.host.hookspecs`` for when each is called.

    Args:
        manager: holds the registered plugins.
        titles: how messages call each registered plugin, by its pluggy name.
        trace: told about every call, or ``None``.
    """

    def __init__(self, manager: pluggy.PluginManager, titles: Mapping[str, str], trace: Trace | None = None) -> None:
        self._manager = manager
        self._titles = titles
        self._trace = trace
        self._reported: set[str] = set()

    def automl_job_started(self, run: Any, job: Any) -> None:
        """Tells all plugins that a job starts or resumes."""
        self._call("automl_job_started", run=run, job=job)

    def automl_epoch_ended(self, run: Any, epoch: int, record: Mapping[str, Any]) -> None:
        """Tells all plugins that an epoch of training is complete."""
        self._call("automl_epoch_ended", run=run, epoch=epoch, record=record)

    def automl_candidate_measured(self, run: Any, measurement: Measurement) -> None:
        """Tells all plugins that a candidate is in the ledger."""
        self._call("automl_candidate_measured", run=run, measurement=measurement)

    def automl_job_finished(self, run: Any, front: Mapping[str, Any]) -> None:
        """Tells all plugins that the front is written."""
        self._call("automl_job_finished", run=run, front=front)

    def _call(self, hook: str, **arguments: Any) -> None:
        # Each implementation is called by itself: pluggy's own loop ends at the first one that raises.
        for implementation in reversed(getattr(self._manager.hook, hook).get_hookimpls()):
            plugin = implementation.plugin_name
            try:
                result = implementation.function(*(arguments[name] for name in implementation.argnames))
            except Exception as error:
                result = error
                if plugin not in self._reported:
                    self._reported.add(plugin)
                    _logger.warning(
                        "%s: observer %s raised %s: %s. The job goes on; further errors of this plugin are not shown.",
                        self._titles[plugin],
                        hook,
                        type(error).__name__,
                        error,
                        exc_info=error,
                    )
            if self._trace is not None:
                self._trace(hook, plugin, arguments, result)


def trace_to_stderr(hook: str, plugin: str, arguments: Mapping[str, Any], result: object) -> None:
    """Prints one line for a hook call, for ``AUTOML_TRACE_PLUGINS=1``."""
    given = ", ".join(f"{name}={_short(value)}" for name, value in arguments.items())
    print(f"{PROJECT} trace: {plugin}: {hook}({given}) -> {_short(result)}", file=sys.stderr)


def _short(value: object) -> str:
    if isinstance(value, list) and value and all(hasattr(item, "name") for item in value):
        return f"[{', '.join(item.name for item in value)}]"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
