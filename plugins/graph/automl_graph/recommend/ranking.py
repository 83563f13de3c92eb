"""Metrics of ranked lists: precision, recall, their F1, NDCG and hits among the first N items."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["RankingTotals", "rank_metrics"]


@dataclass
class RankingTotals:
    """Sums over users of what the metrics are made of; users without a relevant item do not count.

    Args:
        length: number N of items that are recommended.
    """

    length: int
    users: int = 0
    relevant: int = 0
    found: int = 0
    precision: float = 0.0
    recall: float = 0.0
    ndcg: float = 0.0
    hits: int = 0

    def update(self, scores: Tensor, relevance: Tensor) -> None:
        """Adds some users.

        Args:
            scores: ``(users, items)``.
            relevance: 1 for relevant items, 0 for other candidates, -1 for items that must not be recommended, such as those that
                a user has seen, ``(users, items)``.
        """
        counts = (relevance == 1).sum(1)
        scores, relevance, counts = scores[counts > 0], relevance[counts > 0], counts[counts > 0]
        if not len(counts):
            return
        # -inf, not 0: a seen item must lose against every unseen one, whatever the scores are
        ranked = scores.masked_fill(relevance < 0, float("-inf")).topk(min(self.length, scores.shape[1]), dim=1).indices
        hit = (relevance.gather(1, ranked) == 1).double()
        gains = 1 / torch.log2(torch.arange(2, ranked.shape[1] + 2, device=scores.device).double())
        ideal = gains.cumsum(0)[counts.clamp(max=ranked.shape[1]) - 1]
        found = hit.sum(1)
        self.users += len(counts)
        self.relevant += int(counts.sum())
        self.found += int(found.sum())
        self.precision += float((found / self.length).sum())
        self.recall += float((found / counts).sum())
        self.ndcg += float((hit @ gains / ideal).sum())
        self.hits += int((found > 0).sum())

    def compute(self) -> dict[str, float]:
        """Returns the metrics.

        Returns:
            ``precision``, ``recall``, ``ndcg`` and ``hits`` (users with at least one hit) as means over users; ``f1`` of the mean
            precision and the mean recall; ``error``, the share of relevant items, over all users, that are not among the first N.
            All ``nan`` without users.
        """
        if not self.users:
            return dict.fromkeys(("error", "f1", "precision", "recall", "ndcg", "hits"), float("nan"))
        precision, recall = self.precision / self.users, self.recall / self.users
        return {
            "error": 1 - self.found / self.relevant,
            "f1": 2 * precision * recall / (precision + recall) if precision + recall else 0.0,
            "precision": precision,
            "recall": recall,
            "ndcg": self.ndcg / self.users,
            "hits": self.hits / self.users,
        }


def rank_metrics(scores: Tensor, relevance: Tensor, length: int) -> dict[str, float]:
    """Returns the metrics of ``RankingTotals.compute`` for some users.

    Args:
        scores: ``(users, items)``.
        relevance: see ``RankingTotals.update``.
        length: number N of items that are recommended.

    Example:
        >>> metrics = rank_metrics(torch.tensor([[3.0, 2.0, 1.0]]), torch.tensor([[-1, 1, 0]]), 1)
        >>> metrics["recall"], metrics["ndcg"]
        (1.0, 1.0)
    """
    totals = RankingTotals(length)
    totals.update(scores, relevance)
    return totals.compute()
