"""Smaller graphs with the degrees of a larger one, to measure on what the larger one will need.

Source:
    Configuration model: Molloy, Reed 1995, A critical point for random graphs with a given degree sequence. Here the degrees
    are those of every k-th node in order of degree, so their distribution is kept, hubs included in proportion.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from automl.tasks import Batch, StepSample, StepScale
from automl_graph.pyg import coalesce

__all__ = ["graph_scale", "graph_with_degrees"]

_SIZES: Final = (1000, 2000, 4000)
"""Nodes and edges together of the samples."""


def graph_scale(batch: Batch) -> StepScale:
    """Returns the scale of a step on one graph: nodes and edges.

    Args:
        batch: features ``(nodes, width)`` and edges ``(2, edges)``, with the targets of the nodes that its index names.
    """
    x, edge_index = batch.inputs
    nodes, edges = len(x), edge_index.shape[1]
    whole = (nodes, edges)
    input_bytes = x.nbytes + edge_index.nbytes
    if nodes + edges <= _SIZES[-1]:
        return StepScale(("nodes", "edges"), whole, input_bytes, (StepSample(whole, batch),))
    share = len(batch.target) / nodes
    samples = []
    for size, thinned in ((_SIZES[0], False), (_SIZES[1], True), (_SIZES[1], False), (_SIZES[2], False)):
        count = min(nodes, max(2, round(size * nodes / (nodes + edges))))
        sampled = graph_with_degrees(edge_index, nodes, count, seed=size)
        if thinned:
            sampled = _half(sampled)
        rows = torch.linspace(0, nodes - 1, count).long()
        trained = torch.arange(max(1, round(share * count)))
        part = Batch((x[rows].clone(), sampled), batch.target[trained], trained)
        samples.append(StepSample((count, sampled.shape[1]), part))
    return StepScale(("nodes", "edges"), whole, input_bytes, tuple(samples))


def graph_with_degrees(edge_index: Tensor, nodes: int, count: int, *, seed: int) -> Tensor:
    """Returns the edges of a random graph of ``count`` nodes whose degrees are distributed as those of a graph.

    Ends of edges are matched at random. If the graph is undirected, so is the result. Double edges are merged and self loops
    dropped, so a few edges are lost.

    Args:
        edge_index: the graph, ``(2, edges)``.
        nodes: its number of nodes.
        count: number of nodes wanted, at most ``nodes``.
        seed: decides the matching.

    Returns:
        ``(2, ...)`` int64.
    """
    generator = torch.Generator().manual_seed(seed)
    incoming = torch.bincount(edge_index[1], minlength=nodes)
    order = incoming.argsort(stable=True)
    chosen = order[((torch.arange(count) + 0.5) * nodes / count).long()]
    into = torch.repeat_interleave(torch.arange(count), incoming[chosen])
    into = into[torch.randperm(len(into), generator=generator)]
    if torch.equal(edge_index, coalesce(edge_index.flip(0))):
        half = len(into) // 2
        first, second = into[:half], into[half : 2 * half]
        edges = torch.stack([torch.cat([first, second]), torch.cat([second, first])])
    else:
        out = torch.bincount(edge_index[0], minlength=nodes)[chosen]
        out_of = torch.repeat_interleave(torch.arange(count), out)
        out_of = out_of[torch.randperm(len(out_of), generator=generator)]
        length = min(len(into), len(out_of))
        edges = torch.stack([out_of[:length], into[:length]])
    merged: Tensor = coalesce(edges[:, edges[0] != edges[1]], num_nodes=count)
    return merged


def _half(edge_index: Tensor) -> Tensor:
    """Every second edge, with the other direction of each if it is there."""
    low, high = edge_index.min(dim=0).values, edge_index.max(dim=0).values
    return edge_index[:, (low + high) % 2 == 0]
