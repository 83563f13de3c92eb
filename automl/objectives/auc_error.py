"""Ranking error: one minus the area under the receiver operating characteristic on held-out data."""

from __future__ import annotations

from typing import ClassVar, final

from automl.errors import ConfigError
from automl.objectives.candidate import Candidate
from automl.objectives.objective import Objective
from automl.objectives.value import Value

__all__ = ["AucError"]


@final
class AucError(Objective):
    """One minus ROC-AUC on the validation part; with more than two classes, the mean of one class against the rest.

    For classes of very different size, where always answering the larger one has a small error.
    """

    name: ClassVar[str] = "auc-error"

    def measure(self, candidate: Candidate) -> Value:
        quality = candidate.quality()
        if self.name not in quality:
            raise ConfigError(
                f"objectives: this task does not measure {self.name!r}, only {', '.join(map(repr, sorted(quality)))}."
            )
        return Value(quality[self.name], context={"part": "validation", "samples": candidate.samples()})
