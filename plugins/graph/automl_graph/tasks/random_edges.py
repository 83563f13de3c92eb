"""Random edges between fewer nodes with the degrees of a larger graph, to measure on what the larger one will need.

Source:
    Configuration model: Molloy, Reed 1995, A critical point for random graphs with a given degree sequence. Here the degrees
    are those of every k-th node in order of degree, so their distribution is kept, hubs included in proportion.
"""

from __future__ import annotations

import torch
from torch import Tensor

from automl_graph.pyg import coalesce

__all__ = ["every_second", "graph_with_degrees", "relation_with_degrees"]


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
    chosen = _every_kth(incoming, count)
    into = _ends(incoming[chosen], generator)
    if torch.equal(coalesce(edge_index), coalesce(edge_index.flip(0))):
        half = len(into) // 2
        first, second = into[:half], into[half : 2 * half]
        edges = torch.stack([torch.cat([first, second]), torch.cat([second, first])])
    else:
        out_of = _ends(torch.bincount(edge_index[0], minlength=nodes)[chosen], generator)
        length = min(len(into), len(out_of))
        edges = torch.stack([out_of[:length], into[:length]])
    merged: Tensor = coalesce(edges[:, edges[0] != edges[1]], num_nodes=count)
    return merged


def relation_with_degrees(
    edge_index: Tensor, nodes: tuple[int, int], counts: tuple[int, int], *, seed: int, most: int | None = None
) -> Tensor:
    """Returns random edges between two kinds of nodes, whose degrees are distributed as those of a larger relation.

    Args:
        edge_index: the relation, ``(2, edges)``; each row numbers nodes of its own kind.
        nodes: number of nodes of both kinds.
        counts: numbers wanted, at most as many.
        seed: decides the matching.
        most: number of edges at most; None: as the degrees say.

    Returns:
        ``(2, ...)`` int64, each edge once, in rising order.
    """
    generator = torch.Generator().manual_seed(seed)
    ends = []
    for row, (every, count) in enumerate(zip(nodes, counts, strict=True)):
        degrees = torch.bincount(edge_index[row], minlength=every)
        ends.append(_ends(degrees[_every_kth(degrees, count)], generator))
    length = min(len(ends[0]), len(ends[1]))
    if most is not None:
        length = min(length, most)
    merged: Tensor = torch.unique(torch.stack([end[:length] for end in ends]), dim=1)
    return merged


def every_second(edge_index: Tensor) -> Tensor:
    """Returns which edges to keep for about half of them, ``(edges,)`` bool; an edge goes with its other direction."""
    low, high = edge_index.min(dim=0).values, edge_index.max(dim=0).values
    return (low + high) % 2 == 0


def _every_kth(degrees: Tensor, count: int) -> Tensor:
    """``count`` nodes, evenly spread over all in order of degree."""
    place = ((torch.arange(count) + 0.5) * len(degrees) / count).long()
    return degrees.argsort(stable=True)[place]


def _ends(degrees: Tensor, generator: torch.Generator) -> Tensor:
    """Each node as often as its degree says, in random order."""
    ends = torch.repeat_interleave(torch.arange(len(degrees)), degrees)
    return ends[torch.randperm(len(ends), generator=generator)]
