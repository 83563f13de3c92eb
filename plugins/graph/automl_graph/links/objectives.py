"""Objectives of link prediction."""

from __future__ import annotations

from typing import ClassVar, final

from automl.errors import ConfigError
from automl.objectives import Candidate, Objective, Value
from automl.progress import Progress
from automl.supernet import Supernet
from automl.tasks import Task
from automl_graph.links.task import LinkPrediction

__all__ = ["APError", "LinkHitsLoss"]


class _LinkObjective(Objective):
    metric: ClassVar[str]

    def prepare(self, supernet: Supernet, task: Task, progress: Progress) -> None:
        if not isinstance(task, LinkPrediction):
            raise ConfigError(
                f"objectives: {self.name!r} rates pairs of nodes in the task 'link-prediction'; this task has 'error' and 'loss'."
            )

    def measure(self, candidate: Candidate) -> Value:
        return Value(
            1 - candidate.quality()[self.metric], context={"part": "validation", "samples": candidate.samples()}
        )


@final
class APError(_LinkObjective):
    """``1 - average precision`` of links among all pairs of the validation part."""

    name: ClassVar[str] = "ap-error"
    metric: ClassVar[str] = "average-precision"


@final
class LinkHitsLoss(_LinkObjective):
    """``1 - Hits@N``: the share of links that do not score above the N-th best unlinked pair."""

    name: ClassVar[str] = "link-hits-loss"
    metric: ClassVar[str] = "hits"
