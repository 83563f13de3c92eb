"""Proximity loss: linked nodes should score higher than others. Tran and Gao 2020, arXiv:2009.08072.

The logits of edges that attention computes are read as logits of links. For each relation

    L = - mean over edges w log sigmoid(e) - mean over sampled pairs without an edge log sigmoid(-e)

with the value ``w`` of the joined adjacency matrix, 1 for the edges of the graph itself.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["proximity_loss", "sample_non_edges"]


def sample_non_edges(index: Tensor, heads: int, tails: int, *, ratio: float) -> Tensor:
    """Draws pairs without an edge, uniformly and with repetition, by the global generator of torch.

    Args:
        index: head and tail of each edge, ``(2, edges)`` int64; edges may stand there twice.
        heads: number of nodes that edges lead to.
        tails: number of nodes that edges come from.
        ratio: pairs for each edge.

    Returns:
        ``(2, pairs)`` int64 with ``floor(ratio * edges)`` pairs, but no more than there are pairs without an edge.

    Example:
        >>> sample_non_edges(torch.tensor([[0, 0, 1], [0, 1, 1]]), 2, 2, ratio=5)
        tensor([[1],
                [0]])
    """
    linked = torch.unique(index[0] * tails + index[1])
    free = heads * tails - len(linked)
    wanted = min(int(ratio * len(linked)), free)
    rank = torch.randint(max(1, free), (wanted,), device=index.device)
    # Pairs in order of their number: as many are linked before the r-th free one as there are linked pairs l_i with l_i - i <= r.
    before = torch.searchsorted(linked - torch.arange(len(linked), device=index.device), rank, right=True)
    pair = rank + before
    return torch.stack([pair // tails, pair % tails]) if tails else index[:, :0]


def proximity_loss(linked: Tensor, weight: Tensor, free: Tensor) -> Tensor:
    """Returns the loss of one relation.

    Args:
        linked: logits of edges, ``(edges, attention heads)``.
        weight: value of each edge, ``(edges,)``.
        free: logits of pairs without an edge, ``(pairs, attention heads)``; may be none.

    Returns:
        A scalar; 0 where there are no edges.
    """
    if not len(linked):
        return linked.new_zeros(())
    loss = -(weight[:, None].to(linked) * F.logsigmoid(linked)).mean()
    return loss - F.logsigmoid(-free).mean() if len(free) else loss
