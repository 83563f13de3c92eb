"""Checks of a plugin as a whole: it fits in with the others and is light to find."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from typing import Final

from automl.host import Host, PluginRecord
from automl.testing.check import Check, expect

__all__ = ["entry_checks"]

_HEAVY: Final = ("torch", "torch_geometric", "transformers", "sklearn", "scipy", "pandas", "matplotlib", "optuna")


def entry_checks(record: PluginRecord, host: Host) -> list[Check]:
    """Returns the checks of a plugin, whatever it registers."""
    subject = f"plugin {record.name}"
    checks = [Check(subject, "has no conflicts and names known signals", partial(_check_problems, record, host))]
    if record.module:
        checks.append(Check(subject, "the entry module is light", partial(_check_light, record)))
    return checks


def _check_problems(record: PluginRecord, host: Host) -> None:
    problems = host.problems(record.name)
    expect(not problems, " ".join(problems))


def _check_light(record: PluginRecord) -> None:
    script = (
        f"import importlib, sys; importlib.import_module({record.module!r}); "
        f"print('heavy=' + ', '.join(m for m in {_HEAVY!r} if m in sys.modules))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=False)
    expect(done.returncode == 0, f"{record.module} cannot be imported by itself: {done.stderr}")
    heavy = next(line for line in done.stdout.splitlines() if line.startswith("heavy=")).removeprefix("heavy=")
    expect(not heavy, f"importing {record.module} loads {heavy}, at every start; keep that behind 'target'.")
