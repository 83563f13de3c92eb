"""Attention over the edges of a graph: scores become weights for each target, and weights gather features of sources.

Plain tensor operations whose shapes depend on the numbers of nodes and edges only, so the same code trains and is exported.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from automl_graph.pyg import scatter, softmax

__all__ = ["Links", "attend", "link_features", "links_of", "score_heads"]


class Links(NamedTuple):
    """Edges as attention sees them.

    Args:
        source: ``(links,)`` int64.
        target: ``(links,)`` int64.
        nodes: number of nodes.
        hidden: links that get no weight, ``(links,)`` bool; None if all count.
    """

    source: Tensor
    target: Tensor
    nodes: int
    hidden: Tensor | None


def links_of(edge_index: Tensor, nodes: int, *, self_loops: bool) -> Links:
    """Returns the links of a graph, with ``self_loops`` exactly one from each node to itself.

    Self loops that the graph already has are then hidden rather than removed: their number is unknown while a model is
    traced.

    Args:
        edge_index: ``(2, edges)`` int64.
        nodes: number of nodes.
        self_loops: whether every node attends to itself.
    """
    source, target = edge_index[0], edge_index[1]
    if not self_loops:
        return Links(source, target, nodes, None)
    own = torch.arange(nodes, device=edge_index.device)
    hidden = torch.cat([source == target, torch.zeros_like(own, dtype=torch.bool)])
    return Links(torch.cat([source, own]), torch.cat([target, own]), nodes, hidden)


def link_features(edge_attr: Tensor, links: Links) -> Tensor:
    """Returns the features of each link: those of its edge, and for an added self loop the mean over the edges into its node.

    Args:
        edge_attr: ``(edges, width)``, in the order of the edges that ``links`` were made of.
        links: who attends to whom.

    Returns:
        ``(links, width)``; zeros for self loops of nodes that no other node sends to. The mean leaves hidden links out.

    Source:
        The mean is what torch-geometric's ``GATConv`` and ``GATv2Conv`` give self loops by default.
    """
    if links.hidden is None:
        return edge_attr
    edges = edge_attr.shape[0]
    counted = (~links.hidden[:edges]).to(edge_attr.dtype)[:, None]
    sums = scatter(
        torch.cat([edge_attr * counted, counted], dim=1),
        links.target[:edges],
        dim=0,
        dim_size=links.nodes,
        reduce="sum",
    )
    return torch.cat([edge_attr, sums[:, :-1] / sums[:, -1:].clamp(min=1)])


def attend(
    scores: Tensor, values: Tensor, links: Links, *, dropout: float, training: bool, added: Tensor | None = None
) -> Tensor:
    """Returns for each target the mean of the values of its sources, weighted by the softmax of their scores.

    Args:
        scores: ``(links, heads)``.
        values: features of all nodes, ``(nodes, heads, head width)``.
        links: who attends to whom.
        dropout: share of weights dropped in training.
        training: whether it is training.
        added: what each link adds to the values of its source, ``(links, heads, head width)``.

    Returns:
        ``(nodes, heads * head width)``; zeros for nodes without a source.
    """
    if links.hidden is not None:
        scores = scores.masked_fill(links.hidden[:, None], float("-inf"))
    weights = F.dropout(softmax(scores, links.target, num_nodes=links.nodes), dropout, training)
    sent = values[links.source] if added is None else values[links.source] + added
    gathered: Tensor = scatter(weights[:, :, None] * sent, links.target, dim=0, dim_size=links.nodes, reduce="sum")
    return gathered.flatten(1)


def score_heads(features: Tensor, vectors: nn.Module) -> Tensor:
    """Returns the product of each head's features with the vector of that head.

    ``vectors`` is a linear layer from one head's width to the number of heads, whose row ``h`` is the vector of head ``h``. It
    is applied to all heads, and the diagonal is kept: a few products too many, but the layer stays an ordinary one that
    slices its active rows itself.

    Args:
        features: ``(rows, heads, head width)``.
        vectors: the layer.

    Returns:
        ``(rows, heads)``.
    """
    scores: Tensor = vectors(features)
    return scores.diagonal(dim1=1, dim2=2)
