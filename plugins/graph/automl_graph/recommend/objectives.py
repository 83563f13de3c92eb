"""Objectives of recommendation: what is lacking to a perfect F1, recall, NDCG or hit rate among the first N items."""

from __future__ import annotations

from typing import ClassVar, final

from automl.errors import ConfigError
from automl.objectives import Candidate, Objective, Value
from automl.progress import Progress
from automl.supernet import Supernet
from automl.tasks import Task
from automl_graph.recommend.task import Recommendation

__all__ = ["F1Loss", "HitsLoss", "NDCGLoss", "RecallLoss"]


class _RankingObjective(Objective):
    """``1 - metric`` on the validation part, 0 to 1; objectives are minimised."""

    metric: ClassVar[str]

    def prepare(self, supernet: Supernet, task: Task, progress: Progress) -> None:
        if not isinstance(task, Recommendation):
            raise ConfigError(
                f"objectives: {self.name!r} rates ranked lists of the task 'recommendation'; this task has 'error' and 'loss'."
            )

    def measure(self, candidate: Candidate) -> Value:
        return Value(
            1 - candidate.quality()[self.metric], context={"part": "validation", "samples": candidate.samples()}
        )


@final
class F1Loss(_RankingObjective):
    """``1 - F1@N``, where F1 is that of the mean precision and the mean recall over the users."""

    name: ClassVar[str] = "f1-loss"
    metric: ClassVar[str] = "f1"


@final
class RecallLoss(_RankingObjective):
    """``1 - Recall@N``, the mean over the users."""

    name: ClassVar[str] = "recall-loss"
    metric: ClassVar[str] = "recall"


@final
class NDCGLoss(_RankingObjective):
    """``1 - NDCG@N``, the mean over the users."""

    name: ClassVar[str] = "ndcg-loss"
    metric: ClassVar[str] = "ndcg"


@final
class HitsLoss(_RankingObjective):
    """``1 - Hits@N``, where hits are the share of users with at least one relevant item."""

    name: ClassVar[str] = "hits-loss"
    metric: ClassVar[str] = "hits"
