"""Consistency of answers to different draws, against their sharpened mean.

Source:
    Liu et al. 2022, arXiv:2109.03856, section 3.3; Feng et al. 2020 (GRAND), arXiv:2005.11079.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["consistency_loss", "sharpened"]


def sharpened(probabilities: Tensor, temperature: float) -> Tensor:
    """Returns ``p^(1/t)`` of each row, scaled to a sum of 1: nearer to its largest entry the smaller ``t``.

    Args:
        probabilities: ``(rows, classes)``.
        temperature: above 0; 1 changes nothing.
    """
    # Powers of logarithms: p^(1/t) itself underflows for small t.
    return torch.softmax(probabilities.clamp(min=torch.finfo(probabilities.dtype).tiny).log() / temperature, dim=1)


def consistency_loss(probabilities: Sequence[Tensor], temperature: float) -> Tensor:
    """Returns the squared distance of the answers to several draws from their sharpened mean, averaged over draws and rows.

    Args:
        probabilities: of each draw, ``(rows, classes)``.
        temperature: of the sharpening; the target gets no gradient.
    """
    stacked = torch.stack(list(probabilities))
    target = sharpened(stacked.mean(0).detach(), temperature)
    return (stacked - target).square().sum(2).mean()
