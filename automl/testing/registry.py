"""Which checks a component gets: chosen by its kind, found through the registry."""

from __future__ import annotations

from automl.host import Component, Family, Host, Searcher
from automl.testing.check import Check
from automl.testing.family_checks import family_checks
from automl.testing.searcher_checks import searcher_checks

__all__ = ["all_checks", "checks_for", "plugin_checks"]


def checks_for(component: Component, host: Host) -> list[Check]:
    """Returns the checks of one component; none for a kind that the kit does not know."""
    if isinstance(component, Family):
        return family_checks(component, host)
    if isinstance(component, Searcher):
        return searcher_checks(component, host)
    return []


def all_checks(host: Host) -> list[Check]:
    """Returns the checks of every component of every plugin that the host has loaded."""
    return [
        check for record in host.plugins for component in record.components for check in checks_for(component, host)
    ]


def plugin_checks(distribution: str) -> list[Check]:
    """Returns the checks of everything that an installed distribution registers.

    Raises:
        ValueError: no plugin of this distribution is installed, or it does not load.
    """
    host = Host.load()
    records = [
        r for r in host.plugins if r.distribution.replace("_", "-").lower() == distribution.replace("_", "-").lower()
    ]
    if not records:
        installed = ", ".join(sorted({r.distribution for r in host.plugins if r.distribution}))
        raise ValueError(f"no plugin of the distribution {distribution!r} is installed. Installed: {installed}.")
    for record in records:
        if record.status == "broken":
            raise ValueError(f"{record.title} does not load: {record.error}\n{record.traceback}")
    return [check for record in records for component in record.components for check in checks_for(component, host)]
