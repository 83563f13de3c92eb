"""Ensemble bootstrapping: every path predicts what all sampled paths of a slowly moving twin see together.

Source:
    Li et al. 2021 (BossNAS), arXiv:2103.12424, section 3.2; distance and momentum: Grill et al. 2020 (BYOL),
    arXiv:2006.07733, equation 2 and section 3.3.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["distance", "ensemble_target", "momentum", "spread", "two_view_loss"]


def distance(prediction: Tensor, target: Tensor) -> Tensor:
    """Returns the mean squared distance of the directions of predictions and targets, from 0 to 4.

    Shape:
        prediction, target: ``(rows, features)``. Returns a scalar.
    """
    return 2 - 2 * F.cosine_similarity(prediction, target, dim=-1).mean()


def two_view_loss(predictions: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
    """Returns the distance of each view's prediction from the target of the other view, summed: from 0 to 8.

    Shape:
        predictions, targets: two tensors ``(rows, features)`` each. Returns a scalar.
    """
    return distance(predictions[0], targets[1]) + distance(predictions[1], targets[0])


def ensemble_target(projections: Sequence[Tensor]) -> Tensor:
    """Returns the mean of projections that are normalised first, so its length is at most 1, and 1 where all agree.

    Shape:
        projections: ``(rows, features)`` of each path. Returns ``(rows, features)``.
    """
    return torch.stack([F.normalize(projection, dim=-1) for projection in projections]).mean(0)


def spread(target: Tensor) -> float:
    """Returns the mean deviation over the rows of a normalised target, per feature; 0 tells that all rows became equal.

    Rows of independent directions have about ``1 / sqrt(features)``.

    Shape:
        target: ``(rows, features)``.
    """
    return float(F.normalize(target, dim=-1).std(0, correction=0).mean())


def momentum(base: float, progress: float) -> float:
    """Returns the share of the twin that an update keeps: from ``base`` along a cosine to 1."""
    return 1 - (1 - base) * (math.cos(math.pi * progress) + 1) / 2
