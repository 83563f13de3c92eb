"""From a name and options in a job to an objective that measures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from automl.objectives.objective import Objective
from automl.options import parse_options

if TYPE_CHECKING:
    from automl.host import Host

__all__ = ["build_objective"]


def build_objective(
    host: Host, name: str, options: Mapping[str, Any] | None = None, where: str = "objectives"
) -> Objective:
    """Builds an installed objective.

    Args:
        host: knows the installed objectives and runtimes.
        name: name of the objective.
        options: its options; a ``runtime`` is given by name, and what the runtime itself takes as ``runtime_options``.
        where: place in the job; messages start with it.

    Raises:
        UnknownNameError: there is no such objective or runtime; offers the nearest names.
        ConfigError: an option is unknown or out of range.
        MissingExtraError: the objective or its runtime needs a package that is not installed.
    """
    kind: type[Objective] = host.find("objective", name, where=where).load()
    where = f"{where}: {name}"
    settings = parse_options(kind.options_model, options or {}, where).model_dump()
    if "runtime" in settings:
        runtime = host.find("runtime", settings["runtime"], where=f"{where}.runtime").load()
        given = parse_options(runtime.options_model, settings.pop("runtime_options", {}), f"{where}.runtime_options")
        settings["runtime"] = runtime(**given.model_dump())
    return kind(**settings)
