"""Checks of a plugin when it registers: its hooks exist, take known arguments and return lists of the right records."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import FunctionType, MethodType
from typing import Any, Final

import pluggy

from automl.errors import PluginError, did_you_mean
from automl.host import hookspecs
from automl.host.components import KINDS, Component
from automl.host.hookspecs import OBSERVER_HOOKS, PROJECT

__all__ = ["check_hooks", "collect_components"]

_RECORD_OF: Final[Mapping[str, type[Component]]] = {record.hook: record for record in KINDS.values()}
_HOOKS: Final = (*_RECORD_OF, *OBSERVER_HOOKS)


def check_hooks(manager: pluggy.PluginManager, plugin: object) -> None:
    """Refuses a plugin whose hooks nothing would ever call, or that would fail when called.

    Raises:
        PluginError: a function named like a hook has no ``@hookimpl``, there is no such hook, a hook takes an argument
            that is not passed, is a wrapper, or the plugin has no hook at all.
    """
    found = 0
    for name, function in sorted(_functions(plugin).items()):
        options = manager.parse_hookimpl_opts(plugin, name)
        if options is None:
            if name in _HOOKS:
                raise PluginError(
                    f"{name}: the function is named like a hook but not marked, so it would never be called. "
                    "Add '@hookimpl' from 'automl.host' above it."
                )
            if name.startswith(f"{PROJECT}_") and function.__module__ == getattr(plugin, "__name__", None):
                raise PluginError(
                    f"{name}: names that start with '{PROJECT}_' are kept for hooks, and there is no hook of this name."
                    f"{did_you_mean(name, _HOOKS)}"
                )
            continue
        hook = options.get("specname") or name
        if hook not in _HOOKS:
            raise PluginError(f"{name}: unknown hook {hook!r}.{did_you_mean(hook, _HOOKS)}")
        if options.get("wrapper") or options.get("hookwrapper"):
            raise PluginError(f"{name}: hooks of {PROJECT} cannot be wrapped; write a plain function.")
        _check_arguments(name, hook, function)
        found += 1
    if not found:
        raise PluginError(
            f"the plugin has no hook, so it offers nothing; mark functions such as 'automl_families' with '@hookimpl'. "
            f"Hooks: {', '.join(_HOOKS)}."
        )


def collect_components(hook: str, returned: object) -> list[Component]:
    """Returns the records that a component hook gave.

    Raises:
        PluginError: the result is not a list of records of this hook's kind, or it repeats a name.
    """
    record = _RECORD_OF[hook]
    if not isinstance(returned, list | tuple):
        raise PluginError(f"{hook}: must return a list of {record.__name__} records, got {returned!r}.")
    seen: dict[str, Component] = {}
    for position, component in enumerate(returned):
        where = f"{hook}: item {position}"
        if not isinstance(component, record):
            kind = type(component)
            proper = kind.hook if isinstance(component, Component) else ""
            way_out = f" Return it from '{proper}'." if proper else ""
            raise PluginError(f"{where}: expected a {record.__name__} record, got {component!r}.{way_out}")
        if component.name in seen:
            raise PluginError(f"{where}: the name {component.name!r} occurs twice; every {record.kind} needs its own.")
        seen[component.name] = component
    return list(seen.values())


def _functions(plugin: object) -> dict[str, FunctionType | MethodType]:
    found = {}
    for name in dir(plugin):
        if name.startswith("__"):
            continue
        value: Any = getattr(plugin, name, None)
        if isinstance(value, FunctionType | MethodType):
            found[name] = value
    return found


def _check_arguments(name: str, hook: str, function: FunctionType | MethodType) -> None:
    passed = list(inspect.signature(getattr(hookspecs, hook)).parameters)
    for argument, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise PluginError(f"{name}: name the arguments that you use instead of {parameter}; passed: {passed}.")
        if argument not in passed:
            offer = did_you_mean(argument, passed) if passed else " The hook passes none."
            raise PluginError(f"{name}: argument {argument!r} is not passed to this hook.{offer}")
