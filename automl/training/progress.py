"""What training tells whoever shows its progress; training itself prints nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

__all__ = ["Progress"]


class Progress(Protocol):
    """Receives the progress of a training, in the process and thread that trains."""

    def start(self, total: int, completed: int) -> None:
        """Called before the first step, and again when training goes back to an earlier step.

        Args:
            total: steps of the whole training.
            completed: steps that are done already; more than 0 after a resume.
        """

    def advance(self, steps: int = 1) -> None:
        """Called after every step."""

    def epoch_ended(self, record: Mapping[str, Any]) -> None:
        """Called with the record of an epoch, after it is safe on disk."""
