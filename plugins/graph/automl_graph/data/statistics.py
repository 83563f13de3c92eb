"""What a graph looks like, in the numbers that decide which families suit it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from automl_graph.pyg import homophily

__all__ = ["graph_statistics"]


def graph_statistics(edge_index: Tensor, nodes: int, y: Tensor | None = None) -> dict[str, Any]:
    """Returns statistics of a graph.

    Args:
        edge_index: source and target of each edge, ``(2, edges)``; an undirected edge stands there twice.
        nodes: number of nodes.
        y: class of each node, ``(nodes,)``; None if nodes have none.

    Returns:
        ``nodes``, ``edges`` (as they stand there), ``mean degree`` and ``largest degree`` (of incoming edges), ``isolated
        nodes`` (without any edge but to themselves), ``self loops``, ``components`` (weakly connected) and, with classes,
        ``edge homophily``: the share of edges between nodes of one class (None without edges).

    Source:
        Edge homophily: Zhu et al. 2020, Beyond homophily in graph neural networks, arXiv:2006.11468, definition 1.

    Example:
        >>> found = graph_statistics(torch.tensor([[0, 1, 1], [1, 0, 1]]), 4, torch.tensor([0, 1, 1, 0]))
        >>> found["isolated nodes"], found["components"], round(found["edge homophily"], 3)
        (2, 3, 0.333)
    """
    edges = edge_index.detach().cpu()
    between = edges[:, edges[0] != edges[1]]
    incoming = torch.bincount(edges[1], minlength=nodes)
    pattern = coo_array((np.ones(between.shape[1], dtype=bool), tuple(between.numpy())), shape=(nodes, nodes))
    found: dict[str, Any] = {
        "nodes": nodes,
        "edges": int(edges.shape[1]),
        "mean degree": float(incoming.double().mean()),
        "largest degree": int(incoming.max()),
        "isolated nodes": nodes - len(np.unique(between.numpy())),
        "self loops": int(edges.shape[1] - between.shape[1]),
        "components": int(connected_components(pattern, directed=False, return_labels=False)),
    }
    if y is not None:
        found["edge homophily"] = float(homophily(edges, y.cpu(), method="edge")) if edges.shape[1] else None
    return found
