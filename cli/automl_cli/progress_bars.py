"""Progress on standard error: a bar with an estimate in a terminal, a plain line now and then elsewhere.

A bar is redrawn between steps only, never by a thread of its own: that would run while latencies are measured.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from automl.objectives.units import format_duration
from automl_cli.console import status
from automl_cli.search_view import draw_search, summarise_search

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.progress import TaskID

    from automl.progress import Progress as ProgressReceiver
    from automl.search.frontier import Frontier

__all__ = ["PlainProgress", "show_progress"]

QUIET_SECONDS: Final = 10.0
REDRAW_SECONDS: Final = 0.25
REDRAW_SHARE: Final = 0.02
"""At most this share of the time goes into redrawing, however large the front."""
FEWEST_STEPS: Final = 3
"""Estimates start after so many steps: candidates come in groups, so the first says little about the pace."""


@contextmanager
def show_progress() -> Iterator[ProgressReceiver]:
    """Yields a receiver of progress that fits standard error."""
    if sys.stderr.isatty():
        bars = _Bars()
        try:
            yield bars
        finally:
            bars.end()
    else:
        yield PlainProgress()


class PlainProgress:
    """Writes a line when a stage starts and ends, and at most every ten seconds in between.

    Args:
        quiet_seconds: pause between two lines of a stage.
    """

    def __init__(self, quiet_seconds: float = QUIET_SECONDS) -> None:
        self._quiet: Final = quiet_seconds
        self._stage = ""
        self._unit = ""
        self._total: int | None = None
        self._first = self._done = 0
        self._started = self._last = 0.0
        self._frontier: Frontier | None = None

    def begin(self, stage: str, total: int | None, unit: str, completed: int = 0) -> None:
        """Writes that a stage starts."""
        if stage != self._stage:
            self._started = self._last = time.monotonic()
            resumed = f", {completed} done before" if completed else ""
            amount = f": {total} {_plural(unit, total)}{resumed}" if total else ""
            self._write(f"{stage}{amount}")
            self._first = completed
            self._frontier = None
        self._stage, self._total, self._unit, self._done = stage, total, unit, completed

    def watch(self, frontier: Frontier, objectives: Sequence[tuple[str, str]]) -> None:
        """Adds the size of the front to the lines that follow."""
        self._frontier = frontier

    def advance(self, steps: int = 1, status: str = "") -> None:
        """Writes where the stage is, if the last line is old enough."""
        self._done += steps
        now = time.monotonic()
        if now - self._last < self._quiet:
            return
        self._last = now
        left = ""
        fresh = self._done - self._first
        if self._total and fresh > 0 and self._done < self._total:
            remaining = (now - self._started) / fresh * (self._total - self._done)
            left = f", about {format_duration(remaining)} left"
        of = f"/{self._total}" if self._total else ""
        if self._frontier is not None:
            status = summarise_search(self._frontier)
        self._write(f"{self._stage}: {self._done}{of} {self._unit}s{left}{', ' + status if status else ''}")

    def note(self, message: str) -> None:
        """Writes the line."""
        self._write(message)

    def end(self) -> None:
        """Writes how long the stage took."""
        if self._stage:
            self._write(f"{self._stage}: done after {format_duration(time.monotonic() - self._started)}")
        self._stage = ""

    def _write(self, text: str) -> None:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


class _Bars:
    """One Rich bar for the stage at hand, and a view of the front below it; notes scroll by above."""

    def __init__(self) -> None:
        from rich.live import Live
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        console = status()
        self._bars: Final = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[status]}", markup=False),
            console=console,
            auto_refresh=False,
        )
        self._task: TaskID | None = None
        self._stage = ""
        self._search: tuple[Frontier, Sequence[tuple[str, str]]] | None = None
        self._next = 0.0
        self._live: Final = Live(console=console, auto_refresh=False, transient=True, get_renderable=self._render)

    def begin(self, stage: str, total: int | None, unit: str, completed: int = 0) -> None:
        if stage == self._stage and self._task is not None:
            self._bars.update(self._task, total=total, completed=completed)
            return
        self.end()
        self._stage = stage
        self._task = self._bars.add_task(stage, total=total, completed=completed, status="")
        self._live.start()
        self._redraw()

    def watch(self, frontier: Frontier, objectives: Sequence[tuple[str, str]]) -> None:
        self._search = (frontier, objectives)

    def advance(self, steps: int = 1, status: str = "") -> None:
        if self._task is not None:
            self._bars.update(self._task, advance=steps)
            if status and self._search is None:
                self._bars.update(self._task, status=status)
            if time.monotonic() >= self._next:
                self._redraw()

    def note(self, message: str) -> None:
        self._bars.console.print(message, markup=False)

    def end(self) -> None:
        if self._task is not None:
            self._live.stop()
            self._bars.remove_task(self._task)
            self._task = None
            self._search = None
            self._stage = ""

    def _redraw(self) -> None:
        started = time.monotonic()
        self._live.refresh()
        ended = time.monotonic()
        self._next = ended + max(REDRAW_SECONDS, (ended - started) / REDRAW_SHARE)

    def _render(self) -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        if self._search is None:
            return self._bars
        lines = draw_search(*self._search, width=self._bars.console.width)
        return Group(self._bars, Text("\n".join(lines), no_wrap=True, overflow="crop"))


def _plural(unit: str, count: int) -> str:
    return unit if count == 1 else f"{unit}s"
