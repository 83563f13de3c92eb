"""The nodes of each graph that come first in a score."""

from __future__ import annotations

import torch
from torch import Tensor

from automl_graph.pyg import scatter

__all__ = ["cosine_scores", "graph_sizes", "ranked_nodes"]


def cosine_scores(x: Tensor, direction: Tensor) -> Tensor:
    """Returns the cosine between ``relu(x_v)`` and a direction; 0 where one of the two is a zero vector.

    Args:
        x: ``(nodes, width)``.
        direction: ``(width,)``.

    Returns:
        ``(nodes,)``.
    """
    return _directed(torch.relu(x)) @ _directed(direction)


def _directed(x: Tensor) -> Tensor:
    """Scales vectors to length 1; zero vectors stay zero and get finite gradients."""
    square = x.square().sum(-1, keepdim=True)
    return x * torch.where(square > 0, square, 1).rsqrt()


def graph_sizes(batch: Tensor, graphs: int) -> Tensor:
    """Returns the number of nodes of each graph, ``(graphs,)`` int64."""
    counts: Tensor = scatter(torch.ones_like(batch), batch, dim=0, dim_size=graphs, reduce="sum")
    return counts


def ranked_nodes(scores: Tensor, batch: Tensor) -> tuple[Tensor, Tensor]:
    """Sorts the nodes of every graph from the highest score to the lowest; equal scores by the number of the node.

    Args:
        scores: ``(nodes,)``.
        batch: graph of each node, ``(nodes,)`` int64 in increasing order.

    Returns:
        Node at each position, graphs one after the other, and position of each node; both ``(nodes,)`` int64.
    """
    by_score = torch.argsort(scores, descending=True, stable=True)
    order = by_score[torch.argsort(batch[by_score], stable=True)]
    return order, torch.argsort(order)
