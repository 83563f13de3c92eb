"""How much memory a job may still take: that of the machine, or of the control group it is kept in."""

from __future__ import annotations

from pathlib import Path
from typing import Final

__all__ = ["available_memory"]

_MEMINFO: Final = "proc/meminfo"
_GROUPS: Final = (
    ("sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory.current", "sys/fs/cgroup/memory.stat"),
    (
        "sys/fs/cgroup/memory/memory.limit_in_bytes",
        "sys/fs/cgroup/memory/memory.usage_in_bytes",
        "sys/fs/cgroup/memory/memory.stat",
    ),
)
"""Limit, use and statistics of the control group of this process, in version 2 and version 1."""


def available_memory(root: Path = Path("/")) -> int | None:
    """Returns the bytes that can be allocated without swapping or being killed; None where the system does not tell.

    File pages that a control group holds count as available, because the kernel drops them before it kills.

    Args:
        root: where the files of the kernel are.
    """
    found = [_machine(root), *(_group(root, *names) for names in _GROUPS)]
    known = [value for value in found if value is not None]
    return min(known) if known else None


def _machine(root: Path) -> int | None:
    value = _entry(root / _MEMINFO, "MemAvailable:")
    return None if value is None else value * 1024


def _group(root: Path, limit: str, use: str, statistics: str) -> int | None:
    most, used = _number(root / limit), _number(root / use)
    if most is None or used is None:
        return None
    return max(0, most - used + (_entry(root / statistics, "inactive_file") or 0))


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # "max" stands for no limit
        return None


def _entry(path: Path, key: str) -> int | None:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.split()[:1] == [key]), None)
