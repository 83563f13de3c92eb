"""The plugin host: hooks, component records and lookup. Light: neither torch nor any component is imported by it."""

from automl.host.components import (
    Component,
    Compressor,
    Exporter,
    Family,
    Importable,
    Objective,
    Probe,
    Runtime,
    Searcher,
    SignalKind,
    Space,
    SpaceKind,
    Strategy,
    Task,
)
from automl.host.hookspecs import hookimpl
from automl.host.host import Host
from automl.host.records import Conflict, PluginRecord

__all__ = [
    "Component",
    "Compressor",
    "Conflict",
    "Exporter",
    "Family",
    "Host",
    "Importable",
    "Objective",
    "PluginRecord",
    "Probe",
    "Runtime",
    "Searcher",
    "SignalKind",
    "Space",
    "SpaceKind",
    "Strategy",
    "Task",
    "hookimpl",
]
