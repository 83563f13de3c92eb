"""How well scores rank samples of one class before those of others, whatever threshold is chosen."""

from __future__ import annotations

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor

__all__ = ["auc_error"]


def auc_error(logits: Tensor, target: Tensor) -> float:
    """Returns one minus the area under the receiver operating characteristic, the mean over the classes.

    For a class it is the probability that a random sample of it does not get a higher probability of this class than a random
    sample of others; ties count half. With two classes both give the same number, the usual ROC-AUC. Unlike the error,
    it does not reward a network that always answers the larger class: that scores 0.5.

    Args:
        logits: ``(samples, classes)``, finite.
        target: class of each sample, ``(samples,)``.

    Returns:
        0 to 1; the mean over the classes that some samples belong to and some do not, ``nan`` if there are none.

    Source:
        Hanley and McNeil 1982, "The meaning and use of the area under a receiver operating characteristic curve"; the mean of
        one class against the rest: Provost and Domingos 2000.

    Example:
        >>> auc_error(torch.tensor([[2.0, 0.0], [1.0, 0.0], [0.5, 0.0], [0.0, 3.0]]), torch.tensor([0, 1, 0, 1]))
        0.25
    """
    scores = torch.log_softmax(logits.double(), dim=1).cpu().numpy()
    members = target.cpu().numpy()[:, None] == np.arange(logits.shape[1])
    inside = members.sum(axis=0)
    outside = len(members) - inside
    mixed = (inside > 0) & (outside > 0)
    if not mixed.any():
        return float("nan")
    won = (rankdata(scores, axis=0) * members).sum(axis=0) - inside * (inside + 1) / 2
    return float(1 - (won[mixed] / (inside * outside)[mixed]).mean())
