"""Recommendation: interactions of users with items, embeddings of both, ranking and its metrics."""

from automl_graph.recommend.interactions import Interactions
from automl_graph.recommend.loss import bpr_loss, expected_bpr_loss
from automl_graph.recommend.ranking import RankingTotals, rank_metrics
from automl_graph.recommend.task import Recommendation

__all__ = ["Interactions", "RankingTotals", "Recommendation", "bpr_loss", "expected_bpr_loss", "rank_metrics"]
