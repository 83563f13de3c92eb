"""How a step on a batch of graphs grows, with smaller batches beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor

from automl.tasks import Batch, StepSample, StepScale
from automl_graph.data.graph_collection import Sample, join_graphs
from automl_graph.signal import Graph, select_edges
from automl_graph.tasks.graph_scale import MEASURED_WHOLE, SIZES, smaller_graph
from automl_graph.tasks.random_edges import every_second

__all__ = ["batch_scale"]

_FEWEST: Final = 8
"""Graphs of the largest sample, so that the smallest one has two."""

_LARGEST: Final = 4 * MEASURED_WHOLE
"""Nodes and edges that these may have."""

_OF_EACH: Final = 16
"""Nodes and edges of each graph in the smallest sample, where graphs are shrunk."""


def batch_scale(graphs: Sequence[Sample], targets: Tensor, batch_size: int) -> StepScale:
    """Returns the scale of the largest step: as many nodes, and as many edges, as any batch of these graphs can have.

    Measured are graphs of the batch that has most nodes and edges together: fewer of them while eight are small enough, which
    tells blocks that look at all nodes of a graph from those that look at all nodes of a batch; else random smaller graphs.

    Args:
        graphs: the graphs of the training part.
        targets: one for each, ``(graphs, ...)``.
        batch_size: graphs in a step.
    """
    nodes = np.array([len(graph.x) for graph in graphs])
    edges = np.array([graph.edge_index.shape[1] for graph in graphs])
    whole = (int(np.sort(nodes)[-batch_size:].sum()), int(np.sort(edges)[-batch_size:].sum()))
    rows = np.argsort(-(nodes + edges), kind="stable")[:batch_size]
    largest, wanted = [graphs[row] for row in rows], targets[torch.from_numpy(rows)]
    if sum(whole) <= MEASURED_WHOLE:
        samples = [StepSample(whole, Batch(join_graphs(largest), wanted))]
    else:
        samples = [*(_fewer(largest, wanted) or _shrunk(largest, wanted))]
    of_node = graphs[0].x[0].nbytes + 8
    attributed = next(
        (graph.edge_attr for graph in graphs if graph.edge_attr is not None and len(graph.edge_attr)), None
    )
    of_edge = 16 + (0 if attributed is None else attributed[0].nbytes)
    input_bytes = whole[0] * of_node + whole[1] * of_edge + len(rows) * 8
    return StepScale(("nodes", "edges"), whole, input_bytes, tuple(samples))


def _fewer(graphs: Sequence[Sample], targets: Tensor) -> list[StepSample]:
    """Batches of some of the graphs, evenly spread over them in order of size; none where graphs are too large for that."""
    elements = [len(graph.x) + graph.edge_index.shape[1] for graph in graphs]
    most = int(MEASURED_WHOLE * len(graphs) / sum(elements))
    if most < _FEWEST and len(graphs) >= 4 * _FEWEST:  # what is measured stays far below what is predicted
        most = _FEWEST
    samples = []
    for size, thinned in SIZES:
        rows = np.linspace(0, len(graphs) - 1, max(1, most * size // MEASURED_WHOLE)).round().astype(np.int64)
        if most < _FEWEST or sum(elements[row] for row in rows) > _LARGEST:
            return []
        samples.append(_sample([_thinned(graphs[row], thinned) for row in rows], targets[torch.from_numpy(rows)]))
    return samples


def _shrunk(graphs: Sequence[Sample], targets: Tensor) -> Iterator[StepSample]:
    """Batches of as many graphs as in a step, each smaller."""
    elements = sum(len(graph.x) + graph.edge_index.shape[1] for graph in graphs)
    least = max(1.0, _OF_EACH * len(graphs) / SIZES[0][0])
    for size, thinned in SIZES:
        share = min(1.0, size * least / elements)
        counts = [min(len(graph.x), max(2, round(share * len(graph.x)))) for graph in graphs]
        small = [
            smaller_graph(
                Graph(graph.x, graph.edge_index, edge_attr=graph.edge_attr), count, thinned=thinned, seed=size + row
            )
            for row, (graph, count) in enumerate(zip(graphs, counts, strict=True))
        ]
        yield _sample([Sample(graph.x, graph.edge_index, graph.edge_attr) for graph in small], targets)


def _sample(graphs: Sequence[Sample], targets: Tensor) -> StepSample:
    batch = Batch(join_graphs(graphs), targets)
    return StepSample((len(batch.inputs[0]), batch.inputs[1].shape[1]), batch)


def _thinned(graph: Sample, thinned: bool) -> Sample:
    if not thinned:
        return graph
    return Sample(graph.x, *select_edges(graph.edge_index, graph.edge_attr, every_second(graph.edge_index)))
