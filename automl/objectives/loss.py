"""Loss: the loss of the task on held-out data."""

from __future__ import annotations

from typing import ClassVar, final

from automl.objectives.candidate import Candidate
from automl.objectives.objective import Objective
from automl.objectives.value import Value

__all__ = ["Loss"]


@final
class Loss(Objective):
    """Mean loss on the validation part, without label smoothing."""

    name: ClassVar[str] = "loss"

    def measure(self, candidate: Candidate) -> Value:
        loss = candidate.quality()["loss"]
        return Value(loss, context={"part": "validation", "samples": candidate.samples()})
