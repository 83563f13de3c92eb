"""How a step on one graph grows, with smaller graphs like it beside it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import torch

from automl.tasks import Batch, StepSample, StepScale
from automl_graph.signal import Graph, select_edges
from automl_graph.sparse_features import sparse_features
from automl_graph.tasks.node_view import node_inputs
from automl_graph.tasks.random_edges import every_second, graph_with_degrees

__all__ = ["MEASURED_WHOLE", "SIZES", "graph_scale", "link_scale", "smaller_graph"]

SIZES: Final = ((1000, False), (2000, True), (2000, False), (4000, False))
"""Nodes and edges together of the samples, and whether half of the edges are left out of one."""

MEASURED_WHOLE: Final = 4000
"""Nodes and edges together up to which the whole step is the sample."""


def graph_scale(batch: Batch) -> StepScale:
    """Returns the scale of a step on one graph: nodes and edges.

    Args:
        batch: features ``(nodes, width)``, edges ``(2, edges)`` and perhaps features of these ``(edges, edge width)``, with the
            targets of the nodes that its index names.
    """
    x, edge_index, *attributes = batch.inputs
    whole = Graph(x, edge_index, edge_attr=attributes[0] if attributes else None)
    share = len(batch.target) / len(whole.x)

    def part(graph: Graph) -> Batch:
        trained = torch.arange(max(1, round(share * len(graph.x))))
        return Batch(node_inputs(graph.x, graph.edge_index, graph.edge_attr), batch.target[trained], trained)

    return _scale(batch, ((part(graph), graph) for graph in _smaller_graphs(whole)))


def link_scale(batch: Batch) -> StepScale:
    """Returns the scale of a step on pairs of nodes of one graph: nodes and edges, with pairs in proportion to the edges.

    Args:
        batch: features ``(nodes, width)``, edges ``(2, edges)`` and pairs ``(2, pairs)`` with a target each.
    """
    x, edge_index, pairs = batch.inputs
    generator = torch.Generator().manual_seed(0)

    def part(graph: Graph) -> Batch:
        count = max(2, round(graph.edge_index.shape[1] * pairs.shape[1] / edge_index.shape[1]))
        asked = torch.randint(len(graph.x), (2, count), generator=generator)
        rows = torch.linspace(0, len(batch.target) - 1, count).long()  # links and unlinked pairs in proportion
        return Batch((graph.x, graph.edge_index, asked), batch.target[rows])

    return _scale(batch, ((part(graph), graph) for graph in _smaller_graphs(Graph(x, edge_index))))


def smaller_graph(graph: Graph, nodes: int, *, thinned: bool, seed: int) -> Graph:
    """Returns a random graph with fewer nodes, whose degrees are distributed as those of a graph; its edges have features of any.

    Args:
        graph: the graph.
        nodes: number of nodes wanted, at most as many as there are.
        thinned: leave out half of the edges.
        seed: decides the edges.
    """
    edges, edge_attr = graph_with_degrees(graph.edge_index, len(graph.x), nodes, seed=seed), None
    if graph.edge_attr is not None:
        drawn = torch.randint(len(graph.edge_attr), edges.shape[1:], generator=torch.Generator().manual_seed(seed))
        edge_attr = graph.edge_attr[drawn]
    if thinned:
        edges, edge_attr = select_edges(edges, edge_attr, every_second(edges))
    rows = torch.linspace(0, len(graph.x) - 1, nodes).long()
    return Graph(sparse_features(graph.x[rows]), edges, edge_attr=edge_attr)


def _smaller_graphs(graph: Graph) -> Iterator[Graph]:
    nodes, elements = len(graph.x), len(graph.x) + graph.edge_index.shape[1]
    for size, thinned in SIZES:
        count = min(nodes, max(2, round(size * nodes / elements)))
        yield smaller_graph(graph, count, thinned=thinned, seed=size)


def _scale(batch: Batch, parts: Iterator[tuple[Batch, Graph]]) -> StepScale:
    x, edge_index = batch.inputs[:2]
    whole = (len(x), edge_index.shape[1])
    if sum(whole) <= MEASURED_WHOLE:
        samples = [StepSample(whole, batch)]
    else:
        samples = [StepSample((len(graph.x), graph.edge_index.shape[1]), part) for part, graph in parts]
    input_bytes = sum(tensor.nbytes for tensor in batch.inputs)
    return StepScale(("nodes", "edges"), whole, input_bytes, tuple(samples))
