"""``automl doctor``: versions, and what is missing for which feature."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import sys
from typing import Any

from automl_cli.console import print_json, print_result, print_table
from automl_cli.options import JsonOption

__all__ = ["doctor"]

DISTRIBUTION = "automl-supernets"


def doctor(as_json: JsonOption = False) -> None:
    """Show versions, what is missing for which feature and how to install it, and plugins that do not work."""
    from automl.host import Host

    host = Host.load()
    distributions = _distributions()
    features = _features(host)
    problems = host.problems()
    machine = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "executable": sys.executable,
    }
    if as_json:
        print_json({"machine": machine, "distributions": distributions, "features": features, "problems": problems})
        return
    for key, value in machine.items():
        print_result(f"{key}: {value}")
    rows = [(d["name"], d["version"] or "missing", d["wanted"]) for d in distributions]
    print_table("Distributions", ["name", "installed", "wanted"], rows)
    lacking = [f for f in features if f["missing"]]
    rows = [(f["feature"], ", ".join(f["missing"]), f["install"]) for f in lacking]
    if rows:
        print_table("Not available", ["feature", "missing", "how to get it"], rows)
    else:
        print_result(f"All {len(features)} installed components have what they need.")
    for problem in problems:
        print_result(f"problem: {problem}")


def _distributions() -> list[dict[str, str]]:
    """Every distribution that ours asks for, with the version found; extras included."""
    try:
        wanted = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        wanted = []
    entries = [{"name": DISTRIBUTION, "version": _version(DISTRIBUTION), "wanted": ""}]
    for requirement in wanted:
        specification, _, marker = requirement.partition(";")
        match = re.match(r"[A-Za-z0-9._-]+", specification.strip())
        extra = re.search(r"""extra\s*==\s*["']([^"']+)["']""", marker)
        if match is None or (extra is not None and extra[1] in ("dev", "benchmarks")):
            continue
        bounds = specification.strip()[match.end() :].strip()
        note = f" for extra {extra[1]!r}" if extra else ""
        entries.append({"name": match[0], "version": _version(match[0]), "wanted": f"{bounds}{note}".strip()})
    return entries


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _features(host: Any) -> list[dict[str, Any]]:
    from automl.host import Importable
    from automl.host.components import KINDS

    return [
        {
            "feature": f"{component.kind} {component.name}",
            "missing": component.missing(),
            "install": f"pip install '{component.extra}'"
            if component.extra
            else f"pip install {' '.join(component.requires)}",
        }
        for kind in KINDS
        for component in host.components(kind).values()
        if isinstance(component, Importable)
    ]
