"""Generated graphs whose target is a matter of structure alone.

The cubic graphs (every node has three neighbours) look all alike to networks that only pass messages, so what such a network
learns about their cycles is nothing. Cycle-rich against tree-like graphs are easy, and meant for noise and few labels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import networkx
import numpy as np
import torch
from torch import Tensor

from automl_graph.data.graph_collection import GraphCollection, Sample, one_hot_degrees
from automl_graph.substructures import count_cycles, count_paths

__all__ = ["CLASSES", "VALUES", "cubic_graphs"]

_GRAPHS: Final = 300
_NODES: Final = 20


def cubic_graphs(graphs: int = _GRAPHS, nodes: int = _NODES) -> list[Tensor]:
    """Returns the edges of random cubic graphs, both directions; graph i is that of seed i."""
    return [_edges(networkx.random_regular_graph(3, nodes, seed=seed)) for seed in range(graphs)]


def _edges(graph: networkx.Graph[Any]) -> Tensor:
    forward = torch.tensor(sorted(tuple(sorted(edge)) for edge in graph.edges), dtype=torch.int64).reshape(-1, 2).T
    return torch.cat([forward, forward.flip(0)], dim=1)


def _counted(name: str, count: Callable[[Tensor], int]) -> Callable[[], GraphCollection]:
    def build() -> GraphCollection:
        edges = cubic_graphs()
        graphs = tuple(Sample(torch.ones(_NODES, 1), ends) for ends in edges)
        return GraphCollection(name, graphs, np.array([count(ends) for ends in edges], dtype=np.float64))

    return build


def _triangle_or_not() -> GraphCollection:
    """Cubic graphs without a triangle against as many with at least two; those with one are left out."""
    edges = cubic_graphs(4 * _GRAPHS)
    counts = np.array([count_cycles(ends, _NODES, 3) for ends in edges])
    without, several = np.flatnonzero(counts == 0), np.flatnonzero(counts > 1)
    size = min(len(without), len(several))
    kept = np.sort(np.concatenate([without[:size], several[:size]]))
    graphs = tuple(Sample(torch.ones(_NODES, 1), edges[number]) for number in kept)
    return GraphCollection(
        "triangle-or-not", graphs, (counts[kept] > 1).astype(np.int64), ("no triangle", "two or more triangles")
    )


def _cycles_or_trees() -> GraphCollection:
    """Random trees against chains of short cycles, each with a few random edges more; degrees are the features."""
    rng = np.random.default_rng(0)
    edges: list[Tensor] = []
    nodes: list[int] = []
    classes = np.arange(_GRAPHS) % 2
    for rich in classes:
        size = int(rng.integers(12, 25))
        graph = _cycle_chain(size, rng) if rich else networkx.random_labeled_tree(size, seed=int(rng.integers(2**31)))
        for _ in range(2):
            first, second = rng.choice(size, size=2, replace=False)
            graph.add_edge(int(first), int(second))
        edges.append(_edges(graph))
        nodes.append(size)
    features = one_hot_degrees(edges, nodes)
    graphs = tuple(Sample(x, e) for x, e in zip(features, edges, strict=True))
    return GraphCollection("cycles-or-trees", graphs, classes.astype(np.int64), ("tree", "cycles"), degrees=True)


def _cycle_chain(size: int, rng: np.random.Generator) -> networkx.Graph[Any]:
    """A tree of which pieces of three to five nodes are closed to cycles."""
    graph: networkx.Graph[Any] = networkx.Graph()
    graph.add_nodes_from(range(size))
    start = 0
    while start < size:
        end = min(size, start + int(rng.integers(3, 6)))
        graph.add_edges_from((node, node + 1) for node in range(start, end - 1))
        if end - start > 2:
            graph.add_edge(end - 1, start)
        if start:
            graph.add_edge(int(rng.integers(start)), start)
        start = end
    return graph


CLASSES: Final[Mapping[str, Callable[[], GraphCollection]]] = {
    "cycles-or-trees": _cycles_or_trees,
    "triangle-or-not": _triangle_or_not,
}
VALUES: Final[Mapping[str, Callable[[], GraphCollection]]] = {
    "triangles": _counted("triangles", lambda ends: count_cycles(ends, _NODES, 3)),
    "4-cycles": _counted("4-cycles", lambda ends: count_cycles(ends, _NODES, 4)),
    "5-cycles": _counted("5-cycles", lambda ends: count_cycles(ends, _NODES, 5)),
    "4-paths": _counted("4-paths", lambda ends: count_paths(ends, _NODES, 4)),
}
