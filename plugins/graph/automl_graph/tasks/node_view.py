"""What each part of the data sees of a graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from automl.tasks.splits import PARTS, Part
from automl_graph.signal import select_edges
from automl_graph.sparse_features import sparse_features

__all__ = ["NodeView", "node_inputs", "part_views"]


class NodeView(NamedTuple):
    """A graph, or what is left of it.

    Attributes:
        x: features of the nodes that are left, ``(nodes, width)``.
        edge_index: edges between them, numbered anew, ``(2, edges)``.
        rows: row in ``x`` of each node of the whole graph, ``(all nodes,)``; without meaning for those that are gone.
        edge_attr: features of the edges that are left, ``(edges, edge width)``; None if there are none.
    """

    x: Tensor
    edge_index: Tensor
    rows: Tensor
    edge_attr: Tensor | None = None


def part_views(
    x: Tensor, edge_index: Tensor, nodes: Mapping[Part, Tensor], *, inductive: bool, edge_attr: Tensor | None = None
) -> dict[Part, NodeView]:
    """Returns the view of each part: one and the same whole graph, or inductively without the nodes of later parts.

    Args:
        x: features, ``(nodes, width)``.
        edge_index: ``(2, edges)``.
        nodes: nodes of each part.
        inductive: training sees neither validation nor test, validation does not see the test; nodes of no part are seen always.
        edge_attr: features of the edges, ``(edges, edge width)``.
    """
    whole = NodeView(sparse_features(x), edge_index, torch.arange(len(x), device=x.device), edge_attr)
    if not inductive:
        return dict.fromkeys(PARTS, whole)
    views: dict[Part, NodeView] = {"test": whole}
    kept = torch.ones(len(x), dtype=torch.bool, device=x.device)
    later: tuple[tuple[Part, Part], ...] = (("validation", "test"), ("train", "validation"))
    for part, hidden in later:
        kept = kept.index_fill(0, nodes[hidden], False)
        rows = kept.cumsum(0) - 1
        inside, attributes = select_edges(edge_index, edge_attr, kept[edge_index[0]] & kept[edge_index[1]])
        views[part] = NodeView(sparse_features(x[kept]), rows[inside], rows, attributes)
    return views


def node_inputs(x: Tensor, edge_index: Tensor, edge_attr: Tensor | None) -> tuple[Tensor, ...]:
    """Returns what networks for nodes take, in the order of ``NodeClassification.input_names``."""
    return (x, edge_index) if edge_attr is None else (x, edge_index, edge_attr)
