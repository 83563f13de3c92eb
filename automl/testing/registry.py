"""Which checks a component gets: chosen by its kind and by what it declares, found through the registry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

from automl.host import (
    Component,
    Compressor,
    Exporter,
    Family,
    Host,
    Importable,
    Objective,
    PluginRecord,
    Runtime,
    Searcher,
    SignalKind,
    Space,
    Strategy,
    Task,
)
from automl.testing.check import Check
from automl.testing.compressor_checks import compressor_checks
from automl.testing.entry_checks import entry_checks
from automl.testing.exporter_checks import exporter_checks
from automl.testing.family_checks import family_checks
from automl.testing.objective_checks import objective_checks
from automl.testing.runtime_checks import runtime_checks
from automl.testing.searcher_checks import searcher_checks
from automl.testing.signal_checks import signal_checks
from automl.testing.space_checks import space_checks
from automl.testing.strategy_checks import strategy_checks
from automl.testing.task_checks import task_checks

__all__ = ["all_checks", "checks_for", "plugin_checks"]

_CHECKS_OF: Final[Mapping[type[Component], Callable[[Any, Host], list[Check]]]] = {
    Compressor: compressor_checks,
    Exporter: exporter_checks,
    Family: family_checks,
    Objective: objective_checks,
    Runtime: runtime_checks,
    Searcher: searcher_checks,
    SignalKind: signal_checks,
    Space: space_checks,
    Strategy: strategy_checks,
    Task: task_checks,
}


def checks_for(component: Component, host: Host, *, exempt: Mapping[str, str] | None = None) -> list[Check]:
    """Returns the checks of one component.

    Args:
        component: its record. A component of a kind without rules of its own must load, and that is all.
        host: where it is registered, with whatever it needs.
        exempt: names of checks that it need not pass, each with the reason; such a check skips its test.

    Raises:
        ValueError: an exempt check does not exist, or a reason is empty.
    """
    function = _CHECKS_OF.get(type(component))
    missing = component.missing() if isinstance(component, Importable) else []
    if missing:
        reason = f"needs {', '.join(missing)}, which is not installed"
        return [
            Check(f"{component.kind} {component.name}", "can be imported", partial(_check_loads, component), reason)
        ]
    if function is None:
        checks = [Check(f"{component.kind} {component.name}", "can be imported", partial(_check_loads, component))]
    else:
        checks = function(component, host)
    for name, reason in (exempt or {}).items():
        known = [check.name for check in checks]
        if name not in known or not reason.strip():
            raise ValueError(
                f"cannot exempt {component.name} from {name!r} for {reason!r}; checks: {'; '.join(known)}."
            )
    return [replace(check, exempt=(exempt or {}).get(check.name, "")) for check in checks]


def all_checks(host: Host) -> list[Check]:
    """Returns the checks of every plugin that the host has loaded, and of all their components."""
    return _checks_of_plugins(host.plugins, host)


def plugin_checks(distribution: str, *, exempt: Mapping[str, Mapping[str, str]] | None = None) -> list[Check]:
    """Returns the checks of an installed distribution and of everything that it registers.

    Args:
        distribution: its name, as pip knows it.
        exempt: for components by name, the checks that they need not pass, each with the reason.

    Raises:
        ValueError: no plugin of this distribution is installed, or it does not load, or an exemption fits nothing.
    """
    host = Host.load()
    records = [r for r in host.plugins if _normalised(r.distribution) == _normalised(distribution)]
    if not records:
        installed = ", ".join(sorted({r.distribution for r in host.plugins if r.distribution}))
        raise ValueError(f"no plugin of the distribution {distribution!r} is installed. Installed: {installed}.")
    for record in records:
        if record.status == "broken":
            raise ValueError(f"{record.title} does not load: {record.error}\n{record.traceback}")
    unknown = set(exempt or {}) - {component.name for record in records for component in record.components}
    if unknown:
        raise ValueError(f"cannot exempt {', '.join(sorted(unknown))}: {distribution} has no such component.")
    return _checks_of_plugins(records, host, exempt)


def _checks_of_plugins(
    records: Iterable[PluginRecord], host: Host, exempt: Mapping[str, Mapping[str, str]] | None = None
) -> list[Check]:
    checks: list[Check] = []
    for record in records:
        checks += entry_checks(record, host)
        for component in record.components:
            checks += checks_for(component, host, exempt=(exempt or {}).get(component.name))
    return checks


def _check_loads(component: Component) -> None:
    component.load()


def _normalised(name: str) -> str:
    return name.replace("_", "-").replace(".", "-").lower()
