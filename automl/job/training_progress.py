"""A training shown as one stage of a job."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from automl.errors import InterruptedJobError
from automl.progress import Progress

__all__ = ["TrainingProgress"]


class TrainingProgress:
    """Shows steps and epochs, and is where a stop can take hold: every epoch before is safe on disk.

    Args:
        progress: shown the stage.
        stop: asked after each step.
        stage: what is done, for the user.
    """

    def __init__(self, progress: Progress, stop: Callable[[], bool], stage: str) -> None:
        self._progress: Final = progress
        self._stop: Final = stop
        self._stage: Final = stage

    def start(self, total: int, completed: int) -> None:
        """Begins the stage."""
        self._progress.begin(self._stage, total, "step", completed)

    def advance(self, steps: int = 1) -> None:
        """Shows a step; raises ``InterruptedJobError`` if the user asked to stop."""
        self._progress.advance(steps)
        if self._stop():
            raise InterruptedJobError(
                "stopped in training; the same command continues with the epoch that was under way."
            )

    def epoch_ended(self, record: Mapping[str, Any]) -> None:
        """Notes the result of an epoch and its warnings."""
        validation = record.get("validation") or {}
        errors = ", ".join(f"{name} {values['error']:.1%}" for name, values in validation.items() if "error" in values)
        self._progress.note(f"epoch {record['epoch']}: loss {record['loss']:.3f}, validation error: {errors}")
        for warning in record.get("warnings", ()):
            self._progress.note(f"epoch {record['epoch']}: {warning}")
