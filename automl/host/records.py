"""What the host knows about installed plugins: records of plugins and of names that two of them claim."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from automl.host.components import Component

__all__ = ["Conflict", "PluginRecord", "Status"]

Status: TypeAlias = Literal["ok", "broken", "conflict"]
"""``broken``: nothing of the plugin is usable. ``conflict``: all is, but for names that another plugin claims, too."""


@dataclass(frozen=True, kw_only=True)
class PluginRecord:
    """One plugin as found at start.

    Attributes:
        name: name of its entry point.
        module: module that the entry point names; empty for a plugin given as an object.
        distribution: name of the installed distribution, as pip knows it; empty for a plugin given as an object.
        version: version of the distribution; empty if unknown.
        status: whether its components can be used.
        error: the reason in one line; empty if there is none.
        traceback: the traceback of a failed import or hook; empty if there is none.
        import_seconds: time that the import of its entry module took, in seconds.
        components: what it registered, conflicting names included; empty for a broken plugin.
    """

    name: str
    module: str = ""
    distribution: str = ""
    version: str = ""
    status: Status = "ok"
    error: str = ""
    traceback: str = ""
    import_seconds: float = 0.0
    components: tuple[Component, ...] = ()

    @property
    def title(self) -> str:
        """How messages call the plugin: its distribution and version, else its name."""
        if not self.distribution:
            return f"plugin {self.name!r}"
        return f"{self.distribution} {self.version}".rstrip()


@dataclass(frozen=True, kw_only=True)
class Conflict:
    """A name that several plugins claim for one kind of component; nothing can be looked up under it.

    Attributes:
        kind: kind of component.
        name: the claimed name.
        claimants: title of each plugin that claims it, in the order of loading.
        remedy: what the user can do about it.
    """

    kind: str
    name: str
    claimants: tuple[str, ...]
    remedy: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r} is claimed by {' and '.join(self.claimants)}. {self.remedy}"
