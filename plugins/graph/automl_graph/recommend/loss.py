"""Bayesian personalised ranking: items that a user took shall score above those left alone.

Rendle et al. 2009, "BPR: Bayesian Personalized Ranking from Implicit Feedback", equation for BPR-Opt.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["bpr_loss", "expected_bpr_loss", "l2_loss"]

_PAIRS_AT_ONCE = 2048


def bpr_loss(positive: Tensor, negative: Tensor, start: Tensor | None = None, reg_weight: float = 0.0) -> Tensor:
    """Returns ``mean softplus(negative - positive) + reg_weight / (2 B) * |start|^2``.

    Args:
        positive: scores of items that users took, ``(B, 1)``.
        negative: scores of items that they did not take, ``(B, negatives)``.
        start: vectors of the users and items of the batch before any propagation, ``(any, width)``.
        reg_weight: weight of their squared length.

    Example:
        >>> round(float(bpr_loss(torch.ones(3, 1), torch.ones(3, 2))), 4)
        0.6931
    """
    loss = F.softplus(negative - positive).mean()
    if start is None or not reg_weight:
        return loss
    return loss + l2_loss(start, len(positive), reg_weight)


def l2_loss(start: Tensor, rows: int, reg_weight: float) -> Tensor:
    """Returns ``reg_weight / (2 B) * |start|^2``.

    Args:
        start: vectors of the users and items of a batch before any propagation, ``(any, width)``.
        rows: users in the batch, B.
        reg_weight: weight of their squared length.
    """
    return reg_weight / (2 * rows) * start.square().sum()


def expected_bpr_loss(scores: Tensor, relevance: Tensor) -> Tensor:
    """Returns the mean loss over every relevant item against every candidate that is not, without sampling.

    Args:
        scores: ``(users, items)``.
        relevance: 1 for relevant items, 0 for other candidates, -1 for items that are not ranked, ``(users, items)``.
    """
    users, items = (relevance == 1).nonzero(as_tuple=True)
    if not len(users):
        return scores.new_full((), float("nan"))
    total = scores.new_zeros(())
    count = scores.new_zeros(())
    for rows, columns in zip(torch.split(users, _PAIRS_AT_ONCE), torch.split(items, _PAIRS_AT_ONCE), strict=True):
        others = relevance[rows] == 0
        losses = F.softplus(scores[rows] - scores[rows, columns][:, None])
        total = total + torch.where(others, losses, 0).sum()
        count = count + others.sum()
    return total / count.clamp(min=1)
