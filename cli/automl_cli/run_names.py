"""From what the user calls a run to its folder."""

from __future__ import annotations

from pathlib import Path

from automl.errors import ConfigError, RunError, did_you_mean

__all__ = ["find_run", "run_folder"]


def find_run(run: str, runs: Path) -> Path:
    """Returns the folder of a run given by name or path.

    Raises:
        RunError: there is no such run; offers the nearest names.
    """
    for folder in (runs / run, Path(run)):
        if (folder / "job.yaml").is_file():
            return folder
    names = sorted(path.parent.name for path in runs.glob("*/job.yaml")) if runs.is_dir() else []
    if Path(run).is_dir():
        raise RunError(f"{run}: is not a run folder (it has no job.yaml).{did_you_mean(run, names) if names else ''}")
    if not names:
        raise RunError(f"no run is called {run!r}: there are none in {runs}. 'automl search' makes one.")
    raise RunError(f"no run in {runs} is called {run!r}.{did_you_mean(run, names)}")


def run_folder(name: str, runs: Path) -> Path:
    """Returns where a new run of a name goes.

    Raises:
        ConfigError: the name is not that of a folder inside ``runs``.
    """
    if not name or name in (".", "..") or name.startswith("-") or any(sign in name for sign in '/\\\0:*?"<>|'):
        raise ConfigError(f"--name {name!r}: a name becomes a folder; use letters, digits, '-', '_' and '.'.")
    return runs / name
