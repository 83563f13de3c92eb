"""Which entries have the lowest scores: exact numbers of them, also where scores are equal, and never a whole tensor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import torch
from torch import Tensor

__all__ = ["Scope", "keep_highest"]

Scope: TypeAlias = Literal["global", "layer"]


def keep_highest(scores: Sequence[Tensor], sparsity: float, scope: Scope) -> list[Tensor]:
    """Returns masks that drop the share ``sparsity`` of all entries, those with the lowest scores.

    ``round(sparsity · entries)`` entries are dropped, of all tensors together or of each, but the highest score of each tensor
    is always kept, since a tensor without entries cuts the network in two. Of equal scores the earlier entries are dropped.

    Args:
        scores: one tensor for each weight, of any shapes and without NaN.
        sparsity: share to drop, from 0 to below 1.
        scope: ``"global"`` ranks the entries of all tensors together, ``"layer"`` each tensor by itself.

    Returns:
        Boolean tensors of the same shapes, true where an entry is kept.

    Example:
        >>> keep_highest([torch.tensor([1.0, 1.0, 1.0, 1.0]), torch.tensor([5.0])], 0.4, "global")
        [tensor([False, False,  True,  True]), tensor([True])]
    """
    if scope == "layer":
        return [_keep(score, sparsity) for score in scores]
    kept = _keep(torch.cat([_protected(score) for score in scores]), sparsity, reserved=len(scores))
    parts = torch.split(kept, [score.numel() for score in scores])
    return [part.reshape(score.shape) for part, score in zip(parts, scores, strict=True)]


def _keep(score: Tensor, sparsity: float, reserved: int = 1) -> Tensor:
    flat = score.reshape(-1)
    dropped = min(round(sparsity * flat.numel()), flat.numel() - reserved)
    kept = torch.ones_like(flat, dtype=torch.bool)
    kept[torch.sort(flat, stable=True).indices[:dropped]] = False
    return kept.reshape(score.shape)


def _protected(score: Tensor) -> Tensor:
    """The scores in one row, the highest made infinite; of equal ones the last, as the earlier are dropped first."""
    flat = score.reshape(-1).clone()
    flat[len(flat) - 1 - int(flat.flip(0).argmax())] = torch.inf
    return flat
