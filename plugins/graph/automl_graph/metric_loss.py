"""Objectives that are what a metric of one kind of task lacks to 1."""

from __future__ import annotations

from typing import ClassVar

from automl.errors import ConfigError
from automl.objectives import Candidate, Objective, Value
from automl.supernet import Supernet
from automl.tasks import Task

__all__ = ["MetricLoss"]


class MetricLoss(Objective):
    """``1 - metric`` on the validation part, 0 to 1; objectives are minimised.

    Attributes:
        metric: name of the metric, which is 1 at best.
        task: class of the tasks that measure it.
        rates: what it rates in which task, for people.
    """

    metric: ClassVar[str]
    task: ClassVar[type[Task]]
    rates: ClassVar[str]

    def check(self, supernet: Supernet, task: Task) -> None:
        if not isinstance(task, self.task):
            raise ConfigError(f"objectives: {self.name!r} rates {self.rates}; this task has 'error' and 'loss'.")

    def measure(self, candidate: Candidate) -> Value:
        return Value(
            1 - candidate.quality()[self.metric], context={"part": "validation", "samples": candidate.samples()}
        )
