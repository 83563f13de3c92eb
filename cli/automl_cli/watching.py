"""Following a search of another process until its front is written."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from automl_cli.console import print_result, results
from automl_cli.search_view import draw_search, summarise_search

if TYPE_CHECKING:
    from automl.report.follow import RunFollower

__all__ = ["watch_run"]

_LOOKS: Final = 2
"""Looks in a row without a process at work that end it; a front that was written between them is seen by the second."""


def watch_run(folder: Path, every: float) -> bool:
    """Shows the front of a run as it grows: redrawn in a terminal, else a line when something is new.

    Args:
        folder: the run folder; only read.
        every: seconds between two looks.

    Returns:
        Whether the search has ended; false after Ctrl-C.

    Raises:
        RunError: no process works on the run, and its front is not written.
    """
    from automl.errors import RunError
    from automl.report.follow import RunFollower

    follower = RunFollower(folder)
    try:
        follow = _redraw if results().is_terminal else _write_lines
        ended = follow(follower, every)
    except KeyboardInterrupt:
        return False
    if not ended:
        raise RunError(
            f"{folder}: no process is working on this run any more, and its front is not written ({_count(follower)}); "
            "'automl search' with the same options goes on with it."
        )
    return True


class _Idleness:
    """Counts the looks in a row at which nobody works on a run."""

    def __init__(self, follower: RunFollower) -> None:
        self._follower: Final = follower
        self._looks = 0

    def lasts(self) -> bool:
        """Looks once more; tells whether nobody has worked on the run for some looks."""
        self._looks = 0 if self._follower.in_use else self._looks + 1
        return self._looks >= _LOOKS


def _redraw(follower: RunFollower, every: float) -> bool:
    from rich.live import Live
    from rich.text import Text

    idleness = _Idleness(follower)
    with Live(console=results(), auto_refresh=False, transient=True) as live:
        while True:
            follower.poll()
            if follower.finished:
                return True
            objectives = [(axis.name, axis.unit) for axis in follower.axes]
            lines = [_count(follower), *draw_search(follower.frontier, objectives, live.console.width)]
            live.update(Text("\n".join(lines), no_wrap=True, overflow="crop"), refresh=True)
            if idleness.lasts():
                return False
            time.sleep(every)


def _write_lines(follower: RunFollower, every: float) -> bool:
    idleness, shown = _Idleness(follower), ""
    while True:
        follower.poll()
        if follower.finished:
            return True
        line = _count(follower)
        if follower.frontier.trials:
            line += f": {summarise_search(follower.frontier)}"
        if line != shown:
            print_result(line)
            shown = line
        if idleness.lasts():
            return False
        time.sleep(every)


def _count(follower: RunFollower) -> str:
    trials = follower.frontier.trials
    if not trials:
        epochs = follower.epochs
        return f"nothing measured yet, {epochs} epoch{'s' * (epochs != 1)} trained"
    return f"{trials}/{follower.total} candidates" if follower.total else f"{trials} candidates"
