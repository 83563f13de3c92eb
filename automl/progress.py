"""How long work tells the outside how far it is. The library prints nothing; the command line draws bars from this."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from automl.search.frontier import Frontier

__all__ = ["Progress", "SilentProgress"]


class Progress(Protocol):
    """Receiver of progress; stages follow each other and do not nest."""

    def begin(self, stage: str, total: int | None, unit: str, completed: int = 0) -> None:
        """Called when a stage starts, and again when its numbers change.

        Args:
            stage: what is done, in words for the user, such as ``"training the supernet"``.
            total: number of steps, ``None`` where it is not known.
            unit: what one step is, such as ``"step"`` or ``"candidate"``.
            completed: steps done already, more than 0 after a resume.
        """

    def watch(self, frontier: Frontier, objectives: Sequence[tuple[str, str]]) -> None:
        """Called once after the stage of a search began.

        Args:
            frontier: the front so far; it is kept up to date before each ``advance``, and may be read at any time between.
            objectives: name and unit of each of its columns.
        """

    def advance(self, steps: int = 1, status: str = "") -> None:
        """Called after each step, with a short text on the current state."""

    def note(self, message: str) -> None:
        """Called with one line that is worth keeping: the result of an epoch, a warning."""

    def end(self) -> None:
        """Called when the stage is over, also after an error."""


class SilentProgress:
    """A ``Progress`` that drops everything."""

    def begin(self, stage: str, total: int | None, unit: str, completed: int = 0) -> None:
        """Does nothing."""

    def watch(self, frontier: Frontier, objectives: Sequence[tuple[str, str]]) -> None:
        """Does nothing."""

    def advance(self, steps: int = 1, status: str = "") -> None:
        """Does nothing."""

    def note(self, message: str) -> None:
        """Does nothing."""

    def end(self) -> None:
        """Does nothing."""
