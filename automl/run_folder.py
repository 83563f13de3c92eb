"""The folder of a run: where everything about a job is kept, written so that a kill at any moment loses nothing.

    job.yaml  split.json  training.ckpt  training.json  early.jsonl  supernet.safetensors  ranges.json  ledger.log
    searcher.json  front.json  front.png  report.html  exports/<id>/

Every file is written beside its place and renamed into it. One process at a time works in a folder.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import filelock
import yaml

from automl.atomic_write import disk_errors, write_atomically
from automl.errors import RunError, did_you_mean
from automl.job_config import EXTENDABLE, JobConfig, read_job

__all__ = ["Run", "folder_in_use"]

JOB_FILE: Final = "job.yaml"
LOCK_FILE: Final = ".lock"
_LOOK_SECONDS: Final = 0.3
"""Whoever asks whether a run is in use holds its lock for a moment, which must keep nobody out."""


class Run:
    """A run folder.

    Args:
        folder: an existing folder with a ``job.yaml``; ``open`` and ``start`` check that.
        job: the resolved job.
    """

    def __init__(self, folder: Path, job: JobConfig) -> None:
        self.folder: Final = folder
        self.job = job

    @classmethod
    def open(cls, folder: Path) -> Run:
        """Opens a run for reading.

        Raises:
            RunError: there is no such folder, or it is no run; offers the nearest run names.
        """
        if not (folder / JOB_FILE).is_file():
            siblings = folder.parent.iterdir() if folder.parent.is_dir() else ()
            runs = [f.name for f in siblings if (f / JOB_FILE).is_file()]
            offer = did_you_mean(folder.name, runs) if runs else ""
            what = "is not a run folder (it has no job.yaml)" if folder.is_dir() else "does not exist"
            raise RunError(f"{folder}: {what}.{offer}")
        return cls(folder, read_job(folder / JOB_FILE))

    @classmethod
    def start(cls, folder: Path, job: JobConfig, *, overwrite: bool = False) -> Run:
        """Creates the folder, or continues the run of the same job that is there.

        Args:
            folder: the run folder.
            job: the resolved job.
            overwrite: remove a run that is there, whatever its job.

        Raises:
            RunError: the folder holds another job or something else, or cannot be written.
        """
        with disk_errors(folder):
            if overwrite and (folder / JOB_FILE).is_file():
                with cls(folder, job).lock():
                    for entry in folder.iterdir():
                        if entry.name != LOCK_FILE:
                            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
            if (folder / JOB_FILE).is_file():
                _refuse_other_job(folder, read_job(folder / JOB_FILE), job)
            elif folder.exists() and any(e.name != LOCK_FILE for e in folder.iterdir()):
                raise RunError(f"{folder}: not empty and not a run folder; choose another --name.")
            folder.mkdir(parents=True, exist_ok=True)
            run = cls(folder, job)
            text = yaml.safe_dump(job.to_dict(), sort_keys=False, allow_unicode=True)
            if not run.has(JOB_FILE) or run.path(JOB_FILE).read_text(encoding="utf-8") != text:
                run.write_text(JOB_FILE, text)
        return run

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keeps other processes out of the folder; the system lets go of the lock when this process dies.

        Raises:
            RunError: another process works in the folder.
        """
        lock = filelock.FileLock(self.folder / LOCK_FILE)
        try:
            lock.acquire(timeout=_LOOK_SECONDS)
        except filelock.Timeout:
            raise RunError(f"{self.folder}: another process is working on this run; wait for it or stop it.") from None
        try:
            yield
        finally:
            lock.release()

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.folder.name

    def path(self, name: str) -> Path:
        """Returns the path of a file of the run."""
        return self.folder / name

    def has(self, name: str) -> bool:
        """Tells whether a file of the run exists."""
        return self.path(name).is_file()

    def read_json(self, name: str) -> Any:
        """Reads a JSON file of the run.

        Raises:
            RunError: it is missing or damaged.
        """
        path = self.path(name)
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise RunError(f"{path}: no such file; the run has not come that far. Run the same job again.") from None
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise RunError(f"{path}: damaged: {error}. Remove the file and run the same job again.") from error

    def write_json(self, name: str, content: Mapping[str, Any] | list[Any]) -> None:
        """Writes a JSON file of the run; atomic."""
        self.write_text(name, json.dumps(content, indent=1, ensure_ascii=False) + "\n")

    def write_text(self, name: str, text: str) -> None:
        """Writes a text file of the run; atomic."""
        write_atomically(self.path(name), text)

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r})"


def folder_in_use(folder: Path) -> bool:
    """Tells whether a process works in a run folder; true as well where that cannot be told."""
    path = folder / LOCK_FILE
    if not path.exists():
        return False
    try:
        with filelock.FileLock(path).acquire(timeout=0):
            return False
    except (filelock.Timeout, OSError, NotImplementedError):
        return True


def _refuse_other_job(folder: Path, there: JobConfig, here: JobConfig) -> None:
    old, new = _flat(there.to_dict()), _flat(here.to_dict())
    different = [k for k in {**old, **new} if old.get(k) != new.get(k) and k.split(".")[0] not in EXTENDABLE]
    if different:
        shown = "; ".join(f"{key}: {_shown(old.get(key))} -> {_shown(new.get(key))}" for key in different)
        raise RunError(
            f"{folder}: holds the run of another job ({shown}). Choose another --name, or --overwrite to start anew."
        )


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings by dotted key. Lists are values; where two differ, both are shown whole."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            flat.update(_flat(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _shown(value: Any) -> str:
    return "not set" if value is None else json.dumps(value, ensure_ascii=False, default=str)
