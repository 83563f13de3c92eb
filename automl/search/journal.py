"""Optuna's journal file for one writer: durable appends, mended after a crash, opened without reading every trial.

The file has the format of ``optuna.storages.journal.JournalFileBackend`` (one JSON operation a line), so every tool of
Optuna reads it. What differs is how it is written. One process owns the file while it is open, through a lock that the
operating system drops when the process dies, so no lock file is left behind by ``kill -9``. And the storage on top is
not shown the trials, only operations on studies and an outline of what it wrote itself: it merely formats records here,
and reading every trial back would cost 15 kB and 0.2 ms each at 45 dimensions.
"""

from __future__ import annotations

import json
import os
import sys
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from optuna.storages.journal import BaseJournalBackend

from automl.atomic_write import disk_errors
from automl.errors import RunError

if sys.platform != "win32":
    import fcntl

__all__ = ["CREATE_TRIAL", "JournalFile", "JournalTail", "ReadOnlyJournal", "read_operations"]

CREATE_TRIAL: Final = 4
_STUDY_OPERATIONS: Final = frozenset({0, 1, 2, 3})
_PREFIX: Final = b'{"op_code":'
_FLAGS: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
_CHUNK: Final = 1 << 16
_PATIENCE: Final = 6.0  # seconds; workers that were forked off a killed owner hold its lock until they notice


class JournalFile(BaseJournalBackend):
    """A journal file as a backend of ``optuna.storages.JournalStorage``.

    Args:
        path: the file; made if it does not exist and ``writable``.
        writable: own the file and mend its end. A reader takes no lock and never waits for a writer.

    Attributes:
        notes: what was mended, in the user's words.

    Raises:
        RunError: the file cannot be opened or written, another process owns it, or it is no journal.
    """

    def __init__(self, path: Path, *, writable: bool) -> None:
        self._path: Final = path
        self.notes: Final[list[str]] = []
        self._descriptor: int | None = None
        self._release: Callable[[], object] = _nothing
        if writable:
            try:
                new = not path.exists()
                self._descriptor = os.open(path, _FLAGS, 0o644)
                self._release = weakref.finalize(self, _close, self._descriptor, os.getpid())
                _own(self._descriptor, path)
                if new:
                    _sync_folder(path.parent)
                if note := _mend(self._descriptor, path):
                    self.notes.append(note)
            except OSError as error:
                raise RunError(f"{path}: cannot open the ledger: {error.strerror or error}.") from error
        self._shown: Final = [operation for _, operation in read_operations(path, _STUDY_OPERATIONS)]

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        return self._shown[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        lines = [json.dumps(log, separators=(",", ":")).encode() + b"\n" for log in logs]
        if self._descriptor is None:
            raise RunError(f"{self._path}: the ledger is not open for writing.")
        with disk_errors(self._path):
            _append(self._descriptor, b"".join(lines))
        for line, log in zip(lines, logs, strict=True):
            if log["op_code"] in _STUDY_OPERATIONS:
                self._shown.append(json.loads(line))
            elif log["op_code"] == CREATE_TRIAL:
                # The storage insists on seeing that its trial exists.
                outline = {key: log[key] for key in ("op_code", "worker_id", "study_id", "state")}
                self._shown.append({**outline, "datetime_start": None})

    def close(self) -> None:
        """Gives the file up; later writes are an error."""
        # Not twice: by then the number may belong to another file.
        self._release()
        self._descriptor = None


def read_operations(path: Path, kinds: Iterable[int]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields line number, from 1, and content of every operation of the given kinds.

    A last line without its end is left out: it is being written right now, or a crash tore it.

    Raises:
        RunError: the file cannot be read, or a line is not one of Optuna's operations; the message names file and line.
    """
    prefixes = _prefixes(kinds)
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    return
                operation = _operation(path, number, line, prefixes)
                if operation is not None:
                    yield number, operation
    except OSError as error:
        raise RunError(f"{path}: cannot read the ledger: {error.strerror or error}.") from error


class JournalTail:
    """Follows a journal that another process writes: reads what was appended since the last time, and takes no lock.

    Args:
        path: the file; it need not exist yet.
        kinds: the operations that matter.

    Attributes:
        generation: how often the file was found to be another one than before, as after ``--overwrite``; what was read of
            earlier generations is void.
    """

    def __init__(self, path: Path, kinds: Iterable[int]) -> None:
        self.generation = 0
        self._path: Final = path
        self._prefixes: Final = _prefixes(kinds)
        self._file: tuple[int, int] | None = None
        self._offset = self._line = 0

    def read(self) -> list[dict[str, Any]]:
        """Returns the operations that are new, oldest first; none while there is no file.

        Raises:
            RunError: as ``read_operations``.
        """
        operations = []
        try:
            with self._path.open("rb") as file:
                status = os.fstat(file.fileno())
                if self._file != (status.st_dev, status.st_ino) or status.st_size < self._offset:
                    self.generation += self._file is not None
                    self._file = (status.st_dev, status.st_ino)
                    self._offset = self._line = 0
                file.seek(self._offset)
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    self._offset += len(line)
                    self._line += 1
                    operation = _operation(self._path, self._line, line, self._prefixes)
                    if operation is not None:
                        operations.append(operation)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise RunError(f"{self._path}: cannot read the ledger: {error.strerror or error}.") from error
        return operations


class ReadOnlyJournal(BaseJournalBackend):
    """A journal file for programs that only look, such as a dashboard: shows every operation, and refuses to write.

    It takes no lock, so the search that owns the file goes on.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path: Final = path
        self._tail: Final = JournalTail(path, range(100))
        self._shown: Final[list[dict[str, Any]]] = []

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        self._shown.extend(self._tail.read())
        if self._tail.generation:
            raise RunError(f"{self._path}: the run was started anew; start this again to follow it.")
        return self._shown[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        raise RunError(f"{self._path}: is shown read-only; nothing can be changed here.")


def _prefixes(kinds: Iterable[int]) -> tuple[bytes, ...]:
    return tuple(b'{"op_code":%d,' % kind for kind in kinds)


def _operation(path: Path, number: int, line: bytes, prefixes: tuple[bytes, ...]) -> dict[str, Any] | None:
    """Content of a whole line if it is of the wanted kinds."""
    if line.startswith(prefixes):
        try:
            operation: dict[str, Any] = json.loads(line)
        except ValueError as error:
            raise _damaged(path, number) from error
        return operation
    if not line.startswith(_PREFIX):
        raise _damaged(path, number)
    return None


def _damaged(path: Path, line: int) -> RunError:
    return RunError(
        f"{path}: line {line} is not a record of Optuna's journal. The file is damaged or of another kind; restore it "
        "from a copy, or start the run under another name."
    )


def _append(descriptor: int, data: bytes) -> None:
    size = os.fstat(descriptor).st_size
    try:
        left = memoryview(data)
        while left:
            left = left[os.write(descriptor, left) :]
        os.fsync(descriptor)
    except OSError:
        with suppress(OSError):
            os.ftruncate(descriptor, size)
        raise


def _own(descriptor: int, path: Path) -> None:
    if sys.platform == "win32":
        return
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise RunError(f"{path}: another process is writing to this ledger; wait for it or stop it.") from None
            time.sleep(0.05)


def _mend(descriptor: int, path: Path) -> str | None:
    """Removes or completes a last record that a crash tore; returns what was done."""
    start, line = _last_line(path)
    if not line:
        return None
    record = line.removesuffix(b"\n")
    try:
        whole = "op_code" in json.loads(record)
    except (ValueError, TypeError):
        whole = False
    if whole:
        if record == line:
            _append(descriptor, b"\n")
        return None
    # A crash of the machine can leave zeros where data had not reached the disk.
    if not (record.startswith(_PREFIX) or _PREFIX.startswith(record) or not record.strip(b"\0")):
        raise RunError(
            f"{path}: the file does not end with a record of Optuna's journal. It is damaged or of another kind; restore "
            "it from a copy, or start the run under another name."
        )
    os.ftruncate(descriptor, start)
    os.fsync(descriptor)
    return f"{path}: dropped a torn last record of {len(line)} bytes, left by a crash while it was being written."


def _last_line(path: Path) -> tuple[int, bytes]:
    """Where the last line starts, and the line with its end, if it has one."""
    tail = b""
    with path.open("rb") as file:
        start = file.seek(0, os.SEEK_END)
        while start > 0:
            step = min(_CHUNK, start)
            start -= step
            file.seek(start)
            tail = file.read(step) + tail
            newline = tail.rfind(b"\n", 0, -1)
            if newline >= 0:
                return start + newline + 1, tail[newline + 1 :]
    return 0, tail


def _sync_folder(folder: Path) -> None:
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _nothing() -> None:
    pass


def _close(descriptor: int, owner: int) -> None:
    # A forked child must not close a number that may be another file of its own by now.
    if os.getpid() == owner:
        with suppress(OSError):
            os.close(descriptor)
