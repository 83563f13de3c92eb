"""The measuring context: what has to be known about machine and software to judge a measured time."""

from __future__ import annotations

import functools
import os
import platform
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from automl.objectives.runtimes.runtime import Runtime

__all__ = ["cpu_name", "serving_context", "versions"]


def serving_context(runtime: Runtime, tensors: Iterable[Tensor], *, batch_size: int, threads: int) -> dict[str, Any]:
    """Returns everything but the network itself that decides how long a forward takes; other contexts are never compared.

    Args:
        runtime: what runs the network.
        tensors: weights, then inputs of the network.
        batch_size: samples in one forward.
        threads: threads of one forward.
    """
    tensors = list(tensors)
    dtypes = [str(tensor.dtype).removeprefix("torch.") for tensor in tensors if tensor.is_floating_point()]
    return {
        "runtime": runtime.name,
        **runtime.facts(),
        "batch_size": batch_size,
        "dtype": dtypes[0] if dtypes else "none",
        "device": str(tensors[-1].device) if tensors else "none",
        "threads": threads,
        "denormals": "flushed to zero",
        "cpu": cpu_name(),
        "versions": versions("torch", "automl-supernets", *runtime.distributions),
    }


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
