"""Ranking error: one minus the area under the receiver operating characteristic on held-out data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, final

from automl.errors import ConfigError
from automl.objectives.candidate import Candidate
from automl.objectives.objective import Objective
from automl.objectives.value import Value

if TYPE_CHECKING:
    from automl.supernet import Supernet
    from automl.tasks import Task

__all__ = ["AucError"]


@final
class AucError(Objective):
    """One minus ROC-AUC on the validation part; with more than two classes, the mean of one class against the rest.

    For classes of very different size, where always answering the larger one has a small error.
    """

    name: ClassVar[str] = "auc-error"

    def check(self, supernet: Supernet, task: Task) -> None:
        metrics = task.score(())
        if metrics is not None:
            self._require(metrics)

    def measure(self, candidate: Candidate) -> Value:
        quality = candidate.quality()
        self._require(quality)
        return Value(quality[self.name], context={"part": "validation", "samples": candidate.samples()})

    def _require(self, metrics: Mapping[str, float]) -> None:
        if self.name not in metrics:
            raise ConfigError(
                f"objectives: this task does not measure {self.name!r}, only {', '.join(map(repr, sorted(metrics)))}."
            )
