"""What the command says when something goes wrong, and its exit code.

2: the user's mistake, one message. 1: ours, a short message and the file with the traceback. 130: stopped by Ctrl-C.
"""

from __future__ import annotations

import datetime
import errno
import os
import shlex
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from automl.errors import AutomlError
from automl_cli.console import clean

__all__ = ["EXIT_OURS", "EXIT_USER", "report_failure"]

EXIT_OURS: Final = 1
EXIT_USER: Final = 2


def report_failure(error: Exception, arguments: Sequence[str], *, debug: bool) -> int:
    """Says what went wrong on standard error and returns the exit code.

    Args:
        error: what ended the command.
        arguments: the command line, for the crash file.
        debug: print the traceback as well.
    """
    if debug:
        traceback.print_exception(error, file=sys.stderr)
    if isinstance(error, AutomlError):
        _say(str(error))
        return error.exit_code
    if isinstance(error, OSError) and (text := _disk(error)):
        _say(text)
        return EXIT_USER
    message = f"{type(error).__name__}: {error}"
    _say(f"this is a bug in automl or in a plugin: {message}")
    if not debug:
        path = _write_crash_file(error, arguments)
        _say_more(f"The traceback is in {path}" if path else "Run it again with --debug to see the traceback.")
    return EXIT_OURS


def _say(text: str) -> None:
    start = "\x1b[1;31mError:\x1b[0m" if sys.stderr.isatty() and "NO_COLOR" not in os.environ else "Error:"
    sys.stderr.write(f"{start} {clean(text)}\n")


def _say_more(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _disk(error: OSError) -> str:
    """The disk's or the user's fault in one line; empty for other errors of the system."""
    place = f"{error.filename}: " if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{place}the disk is full; free some space and run the same command again."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ENOTDIR):
        return f"{place}{error.strerror}."
    return ""


def _write_crash_file(error: Exception, arguments: Sequence[str]) -> Path | None:
    now = datetime.datetime.now(datetime.UTC)
    header = (
        f"automl {shlex.join(arguments)}\n{now.isoformat(timespec='seconds')}\nPython {sys.version}\n{sys.platform}\n\n"
    )
    try:
        descriptor, name = tempfile.mkstemp(prefix=f"automl-crash-{now:%Y%m%d-%H%M%S}-", suffix=".log")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(header + "".join(traceback.format_exception(error)))
    except OSError:
        return None
    return Path(name)
