"""Which graph each node is in."""

from __future__ import annotations

import torch
from torch import Tensor

from automl_graph.signal import Graph

__all__ = ["graph_of_nodes"]


def graph_of_nodes(graph: Graph) -> tuple[Tensor, int]:
    """Returns the graph of each node, ``(nodes,)`` int64, and the number of graphs.

    Where a payload does not tell graphs apart all its nodes are one graph, and no nodes are no graph.
    """
    if graph.batch is not None and graph.sizes is not None:
        return graph.batch, graph.sizes.shape[0]
    nodes = graph.x.shape[0]
    return graph.x.new_zeros(nodes, dtype=torch.int64), 1 if nodes else 0
