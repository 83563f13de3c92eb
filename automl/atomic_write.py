"""Files that are written whole or not at all, and errors of the disk as one clear line."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from automl.errors import RunError

__all__ = ["disk_errors", "write_atomically"]


def write_atomically(path: Path, content: str | bytes) -> None:
    """Writes a file beside its place, flushes it to disk and renames it, so that a reader sees all or nothing.

    Args:
        path: the file; an existing one is replaced.
        content: text, stored as UTF-8, or bytes.

    Raises:
        RunError: the disk is full or the folder cannot be written; nothing is left behind.
    """
    partial = path.with_name(path.name + ".partial")
    with disk_errors(path):
        try:
            with partial.open("wb") as file:
                file.write(content.encode() if isinstance(content, str) else content)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except OSError:
            partial.unlink(missing_ok=True)
            raise


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turns errors of the file system into one clear line.

    Raises:
        RunError: the disk is full, or the place cannot be written.
    """
    try:
        yield
    except OSError as error:
        place = error.filename or path
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise RunError(f"{place}: the disk is full; free some space and run the same command again.") from error
        raise RunError(f"{place}: cannot be written: {error.strerror or error}.") from error
