"""Adaptive edge removal: views of graphs without some of the edges that a learned score calls unimportant.

Source:
    Li et al. 2025, arXiv:2501.00773, first version: removal of unimportant edges as the one augmentation for graphs of all
    domains. The text of the method was not available; score, probabilities and relaxation are ours.
"""

from __future__ import annotations

from typing import Final, NamedTuple, final

import torch
from torch import Tensor, nn

from automl import elastic
from automl.space import SizeLike
from automl_graph.pyg import scatter

__all__ = ["EdgeScorer", "View", "draw_view", "drop_probabilities", "info_nce"]

_TEMPERATURE: Final = 0.5
_HIDDEN: Final = 32


@final
class EdgeScorer(nn.Module):
    """``s_uw = sigmoid(MLP[h_u * h_w; |h_u - h_w|; log(1 + d_u) + log(1 + d_w)])``: importance of an edge in both directions.

    Args:
        width: width of node features; may depend on dimensions.

    Shape:
        h: ``(nodes, width)``; edge_index: ``(2, edges)``. Returns ``(edges,)``, 0 to 1.
    """

    def __init__(self, width: SizeLike) -> None:
        super().__init__()
        self.product = elastic.Linear(width, _HIDDEN)
        self.difference = elastic.Linear(width, _HIDDEN, bias=False)
        self.degree = nn.Linear(1, _HIDDEN, bias=False)
        self.out = nn.Linear(_HIDDEN, 1)

    def forward(self, h: Tensor, edge_index: Tensor) -> Tensor:
        """Returns the importance of each edge."""
        source, target = edge_index
        degree = torch.log1p(torch.bincount(target, minlength=len(h)).to(h.dtype))
        hidden = self.product(h[source] * h[target]) + self.difference((h[source] - h[target]).abs())
        hidden = hidden + self.degree((degree[source] + degree[target])[:, None])
        scores: Tensor = torch.sigmoid(self.out(torch.relu(hidden))).flatten()
        return scores


def drop_probabilities(scores: Tensor, graph: Tensor, graphs: int, *, drop: float, largest: float) -> Tensor:
    """Returns ``min(largest, drop * (s_max - s) / (s_max - s_mean))`` with maximum and mean over the edges of each graph.

    More important edges never have a larger probability; where all are equally important it is ``drop`` for each.

    Args:
        scores: importance of each edge, ``(edges,)``.
        graph: graph of each edge, ``(edges,)``.
        graphs: number of graphs.
        drop: mean probability, before it is cut off.
        largest: largest probability.
    """
    top = scatter(scores, graph, dim=0, dim_size=graphs, reduce="max")[graph]
    mean = scatter(scores, graph, dim=0, dim_size=graphs, reduce="mean")[graph]
    spread = top - mean
    constant = spread <= torch.finfo(scores.dtype).eps * 8
    ratio = torch.where(constant, torch.ones_like(spread), (top - scores) / torch.where(constant, 1.0, spread))
    return (drop * ratio).clamp(max=largest)


class View(NamedTuple):
    """A view of graphs.

    Args:
        edge_index: the edges that are left, ``(2, fewer edges)``.
        weight: one number for each node, ``(nodes,)``: 1, with a gradient towards the probabilities of its edges.
        kept: which edges are left, ``(edges,)`` bool.
    """

    edge_index: Tensor
    weight: Tensor
    kept: Tensor


def draw_view(edge_index: Tensor, probabilities: Tensor, nodes: int, graph: Tensor, generator: torch.Generator) -> View:
    """Removes each undirected edge with its probability, but never all edges of a graph.

    Whether an edge stays is a threshold on a relaxed (concrete) variable. Networks see only what stays; the gradient of the
    relaxed variables reaches the probabilities through weights of nodes whose value is 1, so any network can be in between.

    Args:
        edge_index: both directions of every edge, ``(2, edges)``.
        probabilities: of each edge to be removed, equal in both directions, ``(edges,)``.
        nodes: number of nodes.
        graph: graph of each edge, ``(edges,)``.
        generator: source of the draws.
    """
    pair = torch.sort(edge_index, dim=0).values
    _, undirected = torch.unique(pair[0] * nodes + pair[1], return_inverse=True)
    count = int(undirected.max()) + 1 if undirected.numel() else 0
    uniform = torch.rand(count, generator=generator, dtype=torch.float64).clamp(1e-6, 1 - 1e-6).to(probabilities)
    noise = (torch.log(uniform) - torch.log1p(-uniform))[undirected]
    keep = (1 - probabilities).clamp(1e-6, 1 - 1e-6)
    relaxed = torch.sigmoid((torch.log(keep) - torch.log1p(-keep) + noise) / _TEMPERATURE)
    stays = (relaxed > 0.5) | (probabilities <= 0)
    # Where nothing would stay, the edges that came closest do.
    graphs = int(graph.max()) + 1 if graph.numel() else 0
    best = scatter(relaxed.detach(), graph, dim=0, dim_size=graphs, reduce="max")[graph]
    none = scatter(stays.to(torch.int64), graph, dim=0, dim_size=graphs, reduce="sum")[graph] == 0
    stays = stays | (none & (relaxed >= best))
    straight = relaxed - relaxed.detach()
    weight = 1 + scatter(straight, edge_index[1], dim=0, dim_size=nodes, reduce="mean")
    return View(edge_index[:, stays], weight, stays)


def info_nce(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """Returns the contrastive loss: each graph has to find its own other view among those of the batch, in both directions.

    Args:
        first: one vector for each graph, ``(graphs, width)``.
        second: vectors of the other views.
        temperature: scale of the similarities.

    Returns:
        A scalar; 0 for a single graph.
    """
    a, b = nn.functional.normalize(first, dim=1), nn.functional.normalize(second, dim=1)
    similarity = a @ b.T / temperature
    own = torch.arange(len(a), device=a.device)
    return (nn.functional.cross_entropy(similarity, own) + nn.functional.cross_entropy(similarity.T, own)) / 2
