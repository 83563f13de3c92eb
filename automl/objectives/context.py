"""The measuring context: what has to be known about machine and software to judge a measured time."""

from __future__ import annotations

import functools
import os
import platform
from importlib import metadata
from pathlib import Path

__all__ = ["cpu_name", "versions"]


@functools.cache
def cpu_name() -> str:
    """Returns the name of the processor as its maker calls it, with the number of usable cores."""
    name = platform.processor() or platform.machine() or "unknown processor"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, text = line.partition(":")
            if key.strip() in ("model name", "Hardware", "cpu model"):
                name = " ".join(text.split())
                break
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return f"{name}, {cores} cores"


def versions(*distributions: str) -> dict[str, str]:
    """Returns the versions of Python and of the named distributions that are installed.

    Example:
        >>> sorted(versions("numpy", "no-such-distribution"))
        ['numpy', 'python']
    """
    found = {"python": platform.python_version()}
    for name in distributions:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
