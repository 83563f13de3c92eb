"""What a job measures first, from the words and runs under ``warm_start``; fixed in the run folder once the run starts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from automl.errors import ConfigError, RunError, SpaceError, did_you_mean
from automl.job_config import read_job
from automl.run_folder import JOB_FILE, Run
from automl.search.warm_start import ends, initial_architectures, read_earlier_search, transferred
from automl.space import Architecture, SearchSpace

__all__ = ["read_warm_start", "resolve_warm_start", "write_warm_start"]

FILE: Final = "warm_start.json"
FROM_RUN: Final = 20
STRATIFIED: Final = 12
_WORD: Final = re.compile(r"stratified(?::(\d+))?")
_WORDS: Final = ("ends", "stratified", "stratified:N")


def resolve_warm_start(entries: Sequence[str], space: SearchSpace, *, runs: Path, seed: int) -> list[Architecture]:
    """Returns the architectures to measure first, without repetitions.

    Args:
        entries: ``ends``: the smallest and the largest architecture. ``stratified`` or ``stratified:N``: 12 or ``N`` that
            are spread evenly over sizes, the ends among them. Anything else is an earlier run, by name or path, of which the
            20 best that fit the space are taken, its front first.
        space: the space to search.
        runs: folder in which runs are looked up by name.
        seed: seed of what is drawn.

    Raises:
        ConfigError: an entry is neither a word nor a run; offers the nearest.
        RunError: a run has measured nothing, is damaged, or is of another space.
    """
    found: dict[Architecture, None] = {}
    for entry in entries:
        if entry == "ends":
            architectures = ends(space)
        elif (match := _WORD.fullmatch(entry)) is not None:
            architectures = initial_architectures(space, int(match[1] or STRATIFIED), seed=seed)
        else:
            architectures = _of_run(entry, space, runs)
        found.update(dict.fromkeys(architectures))
    return list(found)


def write_warm_start(run: Run, architectures: Sequence[Architecture], space: SearchSpace) -> None:
    """Fixes the list in the run folder, so that a resumed run measures the same whatever became of its sources."""
    listed = [dict(architecture) for architecture in architectures]
    run.write_json(FILE, {"entries": run.job.warm_start, "space": space.digest, "architectures": listed})


def read_warm_start(folder: Path, entries: Sequence[str], space: SearchSpace) -> list[Architecture] | None:
    """Returns the list that a run folder holds; ``None`` if there is none, or one of another job.

    Raises:
        RunError: the file is damaged.
    """
    if not (folder / FILE).is_file() or not (folder / JOB_FILE).is_file():
        return None
    content: Any = Run.open(folder).read_json(FILE)
    try:
        if content["entries"] != list(entries) or content["space"] != space.digest:
            return None
        return [space.architecture(entry) for entry in content["architectures"]]
    except (KeyError, TypeError, AttributeError, SpaceError) as error:
        raise RunError(
            f"{folder / FILE}: damaged: {error!r}. Restore it from a copy, or --overwrite the run."
        ) from error


def _of_run(entry: str, space: SearchSpace, runs: Path) -> list[Architecture]:
    folder = next((f for f in (runs / entry, Path(entry)) if (f / JOB_FILE).is_file()), None)
    if folder is None:
        names = sorted(path.parent.name for path in runs.glob(f"*/{JOB_FILE}")) if runs.is_dir() else []
        raise ConfigError(
            f"warm_start: {entry!r} is neither a run in {runs} nor a word.{did_you_mean(entry, [*_WORDS, *names])}"
        )
    storage = read_job(folder / JOB_FILE).storage
    if storage is None and not (folder / "ledger.log").is_file():
        raise RunError(f"warm_start: the run {folder} has measured nothing yet.")
    earlier = read_earlier_search(storage or folder, folder.name if storage else None)
    fitting = transferred(space, earlier.measurements, FROM_RUN)
    if not fitting.architectures:
        if not fitting.skipped:
            raise RunError(f"warm_start: the run {folder} has measured nothing yet.")
        raise RunError(
            f"warm_start: the run {folder} is of another space: none of its {fitting.skipped} measured architectures fits "
            "the one to search. Choose a run of this space."
        )
    return fitting.architectures
