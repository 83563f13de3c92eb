"""A training or pruning shown as one stage of a job."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final, final

from automl.errors import InterruptedJobError
from automl.progress import Progress

__all__ = ["PruningProgress", "TrainingProgress"]


class TrainingProgress:
    """Shows steps and epochs, and is where a stop can take hold: every epoch before is safe on disk.

    Args:
        progress: shown the stage.
        stop: asked after each step.
        stage: what is done, for the user.
    """

    stopped: ClassVar[str] = "stopped in training"

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
            raise InterruptedJobError(f"{self.stopped}; the same command continues with the epoch that was under way.")

    def epoch_ended(self, record: Mapping[str, Any]) -> None:
        """Notes the result of an epoch and its warnings."""
        self._progress.note(f"epoch {record['epoch']}: loss {record['loss']:.3f}, {self._errors(record)}")
        for warning in record.get("warnings", ()):
            self._progress.note(f"epoch {record['epoch']}: {warning}")

    def _errors(self, record: Mapping[str, Any]) -> str:
        validation = record.get("validation") or {}
        errors = ", ".join(f"{name} {values['error']:.1%}" for name, values in validation.items() if "error" in values)
        return f"validation error: {errors}"


@final
class PruningProgress(TrainingProgress):
    """The same for the pruning of one network: how sparse it is by now, and its error."""

    stopped: ClassVar[str] = "stopped"

    def _errors(self, record: Mapping[str, Any]) -> str:
        error, sparsity = record["validation"]["largest"]["error"], record["compression"]["sparsity"]
        return f"sparsity {sparsity:.1%}, validation error {error:.1%}"
