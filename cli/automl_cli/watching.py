"""Following a search of another process until its front is written."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from automl_cli.console import print_result, results
from automl_cli.search_view import draw_search, summarise_search

if TYPE_CHECKING:
    from automl.report.follow import RunFollower

__all__ = ["watch_run"]


def watch_run(folder: Path, every: float) -> bool:
    """Shows the front of a run as it grows: redrawn in a terminal, else a line when something is new.

    Args:
        folder: the run folder; only read.
        every: seconds between two looks.

    Returns:
        Whether the search has ended; false after Ctrl-C.
    """
    from automl.report.follow import RunFollower

    follower = RunFollower(folder)
    try:
        if results().is_terminal:
            _redraw(follower, every)
        else:
            _write_lines(follower, every)
    except KeyboardInterrupt:
        return False
    return True


def _redraw(follower: RunFollower, every: float) -> None:
    from rich.live import Live
    from rich.text import Text

    with Live(console=results(), auto_refresh=False, transient=True) as live:
        while True:
            follower.poll()
            if follower.finished:
                return
            objectives = [(axis.name, axis.unit) for axis in follower.axes]
            lines = [_count(follower), *draw_search(follower.frontier, objectives, live.console.width)]
            live.update(Text("\n".join(lines), no_wrap=True, overflow="crop"), refresh=True)
            time.sleep(every)


def _write_lines(follower: RunFollower, every: float) -> None:
    shown = ""
    while True:
        follower.poll()
        if follower.finished:
            return
        line = _count(follower)
        if follower.frontier.trials:
            line += f": {summarise_search(follower.frontier)}"
        if line != shown:
            print_result(line)
            shown = line
        time.sleep(every)


def _count(follower: RunFollower) -> str:
    trials = follower.frontier.trials
    if not trials:
        epochs = follower.epochs
        return f"nothing measured yet, {epochs} epoch{'s' * (epochs != 1)} trained"
    return f"{trials}/{follower.total} candidates" if follower.total else f"{trials} candidates"
