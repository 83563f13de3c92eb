"""``automl check``: validate a job, a search space or a plugin without running it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from automl_cli.console import print_json, print_result
from automl_cli.options import JsonOption

if TYPE_CHECKING:
    from automl.host import Host, PluginRecord

__all__ = ["check"]


def check(
    target: Annotated[
        str, typer.Argument(metavar="PATH", help="Job or search space file, or the name of an installed plugin.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Validate a job, a search space or a plugin: names, options, data and shapes; nothing is trained or written."""
    from automl.host import Host

    host = Host.load()
    path = Path(target)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        facts = _check_file(path, host)
    elif target in host.components("space"):
        facts = _check_job(None, target, host)
    else:
        facts = _check_plugin(target, host)
    if as_json:
        print_json({"ok": True, **facts})
        return
    print_result(f"{target}: fine")
    for key, value in facts.items():
        print_result(f"  {key.replace('_', ' ')}: {', '.join(map(str, value)) if isinstance(value, list) else value}")


def _check_file(path: Path, host: Host) -> dict[str, Any]:
    from automl.yaml_file import read_yaml

    content = read_yaml(path).data
    is_space = isinstance(content, dict) and not content.keys().isdisjoint(("slots", "kind"))
    return _check_job(None, str(path), host) if is_space else _check_job(path, None, host)


def _check_job(path: Path | None, space: str | None, host: Host) -> dict[str, Any]:
    from automl.job import resolve_parts
    from automl.job_config import resolve_job
    from automl.supernet import build_supernet

    job = resolve_job(path, settings={} if space is None else {"space": space})
    parts = resolve_parts(job, host)
    task = parts.task.load(parts.data, seed=job.seed, options=job.task_options)
    supernet = build_supernet(parts.skeleton, task, host)
    parts.searcher(supernet.space)
    facts: dict[str, Any] = {
        "kind": "job" if space is None else "search space",
        "space": parts.skeleton.space,
        "architectures": supernet.space.size(),
        "dimensions": len(supernet.space.dimensions),
        "task": parts.task_name,
        "data": parts.data,
    }
    if space is None:
        facts |= {"objectives": job.objective_names, "constraints": job.constraints, "run_name": job.default_name()}
    return facts


def _check_plugin(name: str, host: Host) -> dict[str, Any]:
    from automl.errors import PluginError
    from automl.host import Space

    record = _find_plugin(name, host)
    problems = host.problems(name)
    if not problems:
        for component in record.components:
            try:
                component.load()
                if isinstance(component, Space):
                    _check_job(None, component.name, host)
            except Exception as error:
                problems.append(f"{component.kind} {component.name!r}: {error}")
    if problems:
        raise PluginError("\n".join(problems))
    return {
        "kind": "plugin",
        "distribution": record.distribution or "–",
        "version": record.version or "–",
        "components": [f"{c.kind} {c.name}" for c in record.components],
    }


def _find_plugin(name: str, host: Host) -> PluginRecord:
    from automl.errors import UnknownNameError

    names: dict[str, PluginRecord] = {}
    for record in host.plugins:
        for alias in (record.name, record.distribution):
            if alias:
                names.setdefault(alias.lower().replace("_", "-"), record)
    found = names.get(name.lower().replace("_", "-"))
    if found is None:
        raise UnknownNameError("file, search space or plugin", name, {*names, *host.components("space")})
    return found
