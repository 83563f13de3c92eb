"""Entry point of the command: runs the application and turns whatever happens into messages and an exit code."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from automl_cli.failures import report_failure

__all__ = ["main", "run"]

DEBUG = "--debug"


def main() -> None:
    """Runs the command with the arguments of the process, and ends the process."""
    # Threads of OpenMP that wait actively keep the cores from those that work, many times slower where cores are few or
    # shared. Only before torch is imported does this have an effect; a setting of the user's stays.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Runs the command and returns its exit code: 0, or see ``automl_cli.failures``.

    Args:
        arguments: the command line without the name of the program.
    """
    import typer

    from automl_cli.application import build_application

    debug, arguments = _hoist_debug(arguments)
    command: Any = typer.main.get_command(build_application())
    with _messages(debug):
        try:
            command.main(args=list(arguments), prog_name="automl")
        except SystemExit as end:  # usage errors and --help: already told
            return end.code if isinstance(end.code, int) else 0
        except Exception as error:
            return report_failure(error, arguments, debug=debug)
    return 0


def _hoist_debug(arguments: Sequence[str]) -> tuple[bool, list[str]]:
    """Moves ``--debug`` to the front, where the application expects it, unless it follows ``--``."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    before = [argument for argument in arguments[:end] if argument != DEBUG]
    found = len(before) < end
    return found, [*([DEBUG] if found else []), *before, *arguments[end:]]


@contextmanager
def _messages(debug: bool) -> Iterator[None]:
    """Sends log messages of the library to standard error; warnings of other libraries are noise unless asked for."""
    logger = logging.getLogger("automl")
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG if debug else logging.WARNING)
    logger.propagate = False
    try:
        with warnings.catch_warnings():
            if not debug and not sys.warnoptions:
                warnings.simplefilter("ignore")
            yield
    finally:
        logger.removeHandler(handler)
        logger.level, logger.propagate = before


if __name__ == "__main__":
    main()
