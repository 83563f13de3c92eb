"""Objectives of recommendation: what is lacking to a perfect F1, recall, NDCG or hit rate among the first N items."""

from __future__ import annotations

from typing import ClassVar, final

from automl.tasks import Task
from automl_graph.metric_loss import MetricLoss
from automl_graph.recommend.task import Recommendation

__all__ = ["F1Loss", "HitsLoss", "NDCGLoss", "RecallLoss"]


class _RankingObjective(MetricLoss):
    task: ClassVar[type[Task]] = Recommendation
    rates: ClassVar[str] = "ranked lists of the task 'recommendation'"


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
