"""How well logits tell linked pairs from unlinked ones.

Source:
    Hits@N as in Hu et al. 2020, "Open Graph Benchmark", arXiv:2005.00687, section 5; areas under curves by scikit-learn.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Tensor
from torch.nn import functional as F

__all__ = ["METRICS", "balanced_loss", "hits_at", "score_links"]

METRICS: Final = ("error", "auc", "auc-error", "average-precision", "ap-error", "hits", "loss")


def balanced_loss(logits: Tensor, target: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Returns the mean of the mean cross entropies of linked and of unlinked pairs, a scalar in nats.

    Their numbers play no part, so neither does how many unlinked pairs are sampled.

    Args:
        logits: ``(pairs, 1)``.
        target: 1 for links, else 0, ``(pairs,)``.
        label_smoothing: how far targets move to one half.
    """
    wanted = target.to(logits) * (1 - label_smoothing) + label_smoothing / 2
    losses = F.binary_cross_entropy_with_logits(logits.squeeze(1), wanted, reduction="none")
    kinds = [losses[target == kind] for kind in (0, 1)]
    return torch.stack([kind.mean() for kind in kinds if len(kind)]).mean()


def hits_at(scores: npt.NDArray[np.floating], linked: npt.NDArray[np.bool_], n: int) -> float:
    """Returns the share of links that score above the n-th best unlinked pair; 1 if there are fewer than n of these.

    Args:
        scores: ``(pairs,)``.
        linked: ``(pairs,)``.
        n: rank from 1.
    """
    unlinked = scores[~linked]
    if len(unlinked) < n:
        return 1.0
    return float((scores[linked] > np.partition(unlinked, -n)[-n]).mean())


def score_links(logits: Tensor, target: Tensor, n: int) -> dict[str, float]:
    """Returns the metrics of link prediction.

    Args:
        logits: ``(pairs, 1)``.
        target: 1 for links, else 0, ``(pairs,)``; both kinds occur.
        n: N of Hits@N.

    Returns:
        ``error``, the mean of the shares of links and of unlinked pairs on the wrong side of 0; ``auc`` and ``average-precision``
        and what they lack to 1, ``auc-error`` and ``ap-error``; ``hits``; ``loss``. All ``nan`` if a logit is not finite.
    """
    if not bool(torch.isfinite(logits).all()):
        return dict.fromkeys(METRICS, float("nan"))
    scores = logits.detach().squeeze(1).double().cpu().numpy()
    linked = target.cpu().numpy() > 0
    wrong = (scores > 0) != linked
    auc, precision = float(roc_auc_score(linked, scores)), float(average_precision_score(linked, scores))
    return {
        "error": float((wrong[linked].mean() + wrong[~linked].mean()) / 2),
        "auc": auc,
        "auc-error": 1 - auc,
        "average-precision": precision,
        "ap-error": 1 - precision,
        "hits": hits_at(scores, linked, n),
        "loss": float(balanced_loss(logits.float(), target)),
    }
