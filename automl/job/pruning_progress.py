"""A pruning shown as one stage of a job."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from automl.errors import InterruptedJobError
from automl.progress import Progress

__all__ = ["PruningProgress"]


class PruningProgress:
    """Shows steps and epochs; a stop takes hold between steps, when every epoch before is safe on disk.

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
            raise InterruptedJobError("stopped; the same command continues with the epoch that was under way.")

    def epoch_ended(self, record: Mapping[str, Any]) -> None:
        """Notes the result of an epoch and its warnings."""
        error = record["validation"]["largest"]["error"]
        sparsity = record["compression"]["sparsity"]
        self._progress.note(
            f"epoch {record['epoch']}: loss {record['loss']:.3f}, sparsity {sparsity:.1%}, validation error {error:.1%}"
        )
        for warning in record["warnings"]:
            self._progress.note(f"epoch {record['epoch']}: {warning}")
