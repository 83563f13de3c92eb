"""Objectives of link prediction."""

from __future__ import annotations

from typing import ClassVar, final

from automl.tasks import Task
from automl_graph.links.task import LinkPrediction
from automl_graph.metric_loss import MetricLoss

__all__ = ["APError", "LinkHitsLoss"]


class _LinkObjective(MetricLoss):
    task: ClassVar[type[Task]] = LinkPrediction
    rates: ClassVar[str] = "pairs of nodes in the task 'link-prediction'"


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
