"""The plugin host: loads plugins one by one, keeps broken ones apart, and looks components up by name."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
import time
import traceback
from collections.abc import Iterable
from typing import Final

import pluggy

from automl.errors import PluginError, UnknownNameError
from automl.host import hookspecs
from automl.host.components import KINDS, Component, Family, Task
from automl.host.hookspecs import PROJECT
from automl.host.observers import Observers, Trace, trace_to_stderr
from automl.host.records import Conflict, PluginRecord
from automl.host.validation import check_hooks, collect_components

__all__ = ["Host"]

TRACE_VARIABLE: Final = "AUTOML_TRACE_PLUGINS"
_CORE_DISTRIBUTION: Final = "automl-supernets"


class Host:
    """All components that are installed: the library's own and those of plugins.

    Build one with ``Host.load()``. A plugin that cannot be used is kept in ``plugins`` with the reason; the others work.

    Attributes:
        plugins: every plugin found, in the order of loading; the library's own components come first.
        conflicts: names that several plugins claim.
        hook: the observer hooks as methods, such as ``host.hook.automl_job_started(run=run, job=job)``.

    Example:
        >>> host = Host.load()
        >>> host.find("searcher", "random").summary
        'Uniform sampling without repetition'
    """

    plugins: list[PluginRecord]
    conflicts: list[Conflict]
    hook: Observers

    def __init__(self, *, trace: Trace | None = None) -> None:
        self.plugins = []
        self.conflicts = []
        self._trace = trace
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._titles: dict[str, str] = {}
        self._components: dict[str, dict[str, Component]] = {kind: {} for kind in KINDS}
        self._providers: dict[tuple[str, str], PluginRecord] = {}
        self.hook = Observers(self._manager, self._titles, trace)

    @classmethod
    def load(cls, entry_points: bool = True, plugins: Iterable[object] = ()) -> Host:
        """Loads the library's own components, then the given plugins, then the installed ones.

        Never fails because of a plugin: see ``plugins`` for the broken ones. With ``AUTOML_TRACE_PLUGINS=1`` in the
        environment every hook call is printed to standard error.

        Args:
            entry_points: also load the plugins that installed distributions name in the entry-point group ``automl``.
            plugins: modules or objects with hooks, for tests and notebooks.
        """
        from automl import builtins

        host = cls(trace=trace_to_stderr if os.environ.get(TRACE_VARIABLE, "") not in ("", "0") else None)
        core = PluginRecord(name=PROJECT, distribution=_CORE_DISTRIBUTION, version=_version(_CORE_DISTRIBUTION))
        host._register(builtins, core)
        if host.plugins[0].status == "broken":
            raise PluginError(host.plugins[0].error)
        for plugin in plugins:
            host._register(plugin, PluginRecord(name=getattr(plugin, "__name__", type(plugin).__name__)))
        if entry_points:
            found = importlib.metadata.entry_points(group=PROJECT)
            for entry_point in sorted(found, key=lambda e: (_distribution(e).lower(), e.name)):
                host._load_entry_point(entry_point)
        host._find_conflicts()
        return host

    def components(self, kind: str) -> dict[str, Component]:
        """Returns the usable components of a kind by name, sorted; names in conflict are left out.

        Raises:
            ValueError: there is no such kind.
        """
        return dict(sorted(self._of_kind(kind).items()))

    def find(self, kind: str, name: str, where: str = "") -> Component:
        """Returns the component of a name.

        Args:
            kind: ``"family"``, ``"searcher"`` and so on.
            name: the name as the user wrote it.
            where: file and key that held the name, for the error.

        Raises:
            UnknownNameError: nothing is registered under the name; says which broken plugins may have provided it.
            PluginError: several plugins claim the name.
            ValueError: there is no such kind.
        """
        components = self._of_kind(kind)
        if name in components:
            return components[name]
        prefix = f"{where}: " if where else ""
        for conflict in self.conflicts:
            if (conflict.kind, conflict.name) == (kind, name):
                raise PluginError(f"{prefix}{conflict}")
        raise UnknownNameError(kind, name, components, where, note=self._broken_note(name))

    def provider(self, component: Component) -> PluginRecord:
        """Returns the plugin that registered a component.

        Raises:
            KeyError: the component is not of this host.
        """
        return self._providers[component.kind, component.name]

    def problems(self, *distributions: str) -> list[str]:
        """Returns one line for each thing that is wrong with plugins: broken, in conflict, or of an unknown signal.

        Args:
            *distributions: names of distributions or plugins to report on; none: all.
        """
        wanted = {_normalised(name) for name in distributions}
        found: list[str] = []
        for record in self.plugins:
            if wanted and wanted.isdisjoint((_normalised(record.name), _normalised(record.distribution))):
                continue
            if record.error:
                found.append(f"{record.title}: {record.error}")
            found += [f"{record.title}: {text}" for text in self._unknown_signals(record)]
        return found

    def _of_kind(self, kind: str) -> dict[str, Component]:
        if kind not in KINDS:
            raise ValueError(f"there is no kind {kind!r} of component; kinds: {', '.join(KINDS)}.")
        return self._components[kind]

    def _load_entry_point(self, entry_point: importlib.metadata.EntryPoint) -> None:
        record = PluginRecord(
            name=entry_point.name,
            module=entry_point.module,
            distribution=_distribution(entry_point),
            version=entry_point.dist.version if entry_point.dist else "",
        )
        start = time.perf_counter()
        try:
            plugin = entry_point.load()
        except (Exception, SystemExit) as error:
            seconds = time.perf_counter() - start
            text = f"importing {entry_point.value!r} failed: {type(error).__name__}: {error}"
            self._keep_broken(dataclasses.replace(record, import_seconds=seconds), text, error)
            return
        self._register(plugin, dataclasses.replace(record, import_seconds=time.perf_counter() - start))

    def _register(self, plugin: object, record: PluginRecord) -> None:
        if any(plugin is known for known in self._manager.get_plugins()):
            return  # the same object given twice, say to `load` and by its installed entry point
        try:
            check_hooks(self._manager, plugin)
        except PluginError as error:
            self._keep_broken(record, str(error))
            return
        key = f"{record.distribution}:{record.name}" if record.distribution else record.name
        if self._manager.has_plugin(key):
            key = f"{key}#{len(self.plugins)}"
        self._manager.register(plugin, name=key)
        components: list[Component] = []
        for kind in KINDS.values():
            for implementation in getattr(self._manager.hook, kind.hook).get_hookimpls():
                if implementation.plugin is not plugin:
                    continue
                try:
                    returned = implementation.function()
                    if self._trace is not None:
                        self._trace(kind.hook, key, {}, returned)
                    components += collect_components(kind.hook, returned)
                except (Exception, SystemExit) as error:
                    self._manager.unregister(plugin)
                    own = isinstance(error, PluginError)
                    hook = "" if str(error).startswith(kind.hook) else f"{kind.hook}: "
                    text = f"{hook}{error}" if own else f"{hook}{type(error).__name__}: {error}"
                    self._keep_broken(record, text, error)
                    return
        record = dataclasses.replace(record, components=tuple(components))
        self._titles[key] = record.title
        self.plugins.append(record)

    def _keep_broken(self, record: PluginRecord, text: str, error: BaseException | None = None) -> None:
        lines = "".join(traceback.format_exception(error)) if error is not None else ""
        self.plugins.append(dataclasses.replace(record, status="broken", error=text, traceback=lines))

    def _find_conflicts(self) -> None:
        claims: dict[tuple[str, str], list[PluginRecord]] = {}
        for record in self.plugins:
            for component in record.components:
                claims.setdefault((component.kind, component.name), []).append(record)
                self._components[component.kind][component.name] = component
                self._providers[component.kind, component.name] = record
        notes: dict[int, list[str]] = {}
        for (kind, name), records in claims.items():
            if len(records) == 1:
                continue
            del self._components[kind][name]
            conflict = Conflict(
                kind=kind, name=name, claimants=tuple(r.title for r in records), remedy=_remedy(records)
            )
            self.conflicts.append(conflict)
            for record in records:
                notes.setdefault(id(record), []).append(str(conflict))
        self.plugins = [
            dataclasses.replace(r, status="conflict", error=" ".join(notes[id(r)])) if id(r) in notes else r
            for r in self.plugins
        ]

    def _broken_note(self, name: str) -> str:
        broken = [record for record in self.plugins if record.status == "broken"]
        if not broken:
            return ""
        package = name.split(".")[0]
        likely = [record for record in broken if "." in name and record.name == package]
        reasons = "; ".join(f"{record.title} ({record.error})" for record in likely or broken)
        if likely:
            return f" It may belong to a plugin that is broken: {reasons} 'automl plugins' shows the traceback."
        return f" It may also belong to one of the plugins that are broken: {reasons} 'automl plugins' shows the tracebacks."

    def _unknown_signals(self, record: PluginRecord) -> list[str]:
        kinds = self._components["signal"]
        named: list[tuple[Component, str]] = []
        for component in record.components:
            if isinstance(component, Family):
                named += [(component, component.accepts), (component, component.produces)]
            elif isinstance(component, Task):
                named.append((component, component.signal))
        return [
            f"{component.kind} {component.name!r} uses the signal kind {signal!r}, which no installed plugin provides."
            for component, signal in dict.fromkeys(named)
            if signal not in kinds and signal != "logits"
        ]


def _remedy(records: Iterable[PluginRecord]) -> str:
    removable = [r.distribution for r in records if r.distribution not in ("", _CORE_DISTRIBUTION)]
    if not removable:
        return "Rename one of them."
    commands = " or ".join(f"'pip uninstall {name}'" for name in dict.fromkeys(removable))
    return f"Remove one ({commands}) or ask its authors to rename; all other names keep working."


def _distribution(entry_point: importlib.metadata.EntryPoint) -> str:
    return entry_point.dist.name if entry_point.dist else ""


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _normalised(name: str) -> str:
    return name.lower().replace("_", "-")
