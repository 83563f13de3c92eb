"""A graph with one label per node, checked."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from automl.errors import DataError
from automl_graph.data.edge_features import check_edge_attr
from automl_graph.pyg import coalesce

__all__ = ["NodeData"]


@dataclass(frozen=True, eq=False)
class NodeData:
    """Features, edges and labels of one graph.

    Args:
        name: where the graph is from, a built-in name or a path; for messages.
        x: features, ``(nodes, width)`` float32.
        edge_index: source and target of each edge, ``(2, edges)`` int64; an undirected edge stands there twice.
        y: class of each node, ``(nodes,)`` int64, 0 to classes − 1.
        class_names: name of each class; none if nodes have no classes, and then ``y`` is all zeros.
        split: nodes of each part, where the source of the graph says so.
        merged_edges: number of edges that were left out because they stood there before.
        edge_attr: features of the edges, ``(edges, edge width)`` float32; None if there are none.

    Raises:
        DataError: shapes do not fit together, a feature is not finite, an edge ends at no node, or there is a single class;
            names the source and the array.
    """

    name: str
    x: Tensor
    edge_index: Tensor
    y: Tensor
    class_names: tuple[str, ...]
    split: Mapping[str, list[int]] | None = None
    merged_edges: int = 0
    edge_attr: Tensor | None = None

    def __post_init__(self) -> None:
        _check_features(self.x, self.name)
        _check_edges(self.edge_index, len(self.x), self.name)
        check_edge_attr(self.edge_attr, self.edge_index.shape[1], self.name)
        if self.class_names:
            _check_labels(self.y, len(self.x), len(self.class_names), self.name)

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return int(self.x.shape[0])

    @cached_property
    def directed(self) -> bool:
        """Whether an edge lacks its other direction."""
        return not torch.equal(coalesce(self.edge_index), coalesce(self.edge_index.flip(0)))

    def without_edge_features(self) -> NodeData:
        """Returns the same graph without features of edges."""
        return replace(self, edge_attr=None)

    @cached_property
    def fingerprint(self) -> str:
        """Digest of features, edges and labels, 16 hexadecimal digits."""
        digest = hashlib.sha256()
        for tensor in (self.x, self.edge_index, self.y, self.edge_attr):
            if tensor is None:
                continue
            digest.update(str((tuple(tensor.shape), tensor.dtype)).encode())
            digest.update(tensor.contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]


def _check_features(x: Tensor, name: str) -> None:
    if x.ndim != 2 or not x.shape[0] or not x.shape[1]:
        raise DataError(
            f"{name}: 'x' has shape {tuple(x.shape)}; expected (nodes, features) with at least one of each. Set "
            "'task_options.features=degree' to take the degree of each node as its feature."
        )
    bad = (~torch.isfinite(x)).nonzero()
    if len(bad):
        node, feature = bad[0].tolist()
        raise DataError(
            f"{name}: 'x' has {len(bad)} values that are not finite, the first at node {node}, feature {feature}; "
            "expected finite numbers. Replace or drop them."
        )


def _check_edges(edge_index: Tensor, nodes: int, name: str) -> None:
    if edge_index.ndim != 2 or edge_index.shape[0] != 2:
        hint = " Transpose it." if edge_index.ndim == 2 and edge_index.shape[1] == 2 else ""
        raise DataError(f"{name}: 'edge_index' has shape {tuple(edge_index.shape)}; expected (2, edges).{hint}")
    outside = ((edge_index < 0) | (edge_index >= nodes)).any(dim=0).nonzero().flatten()
    if len(outside):
        first = int(outside[0])
        raise DataError(
            f"{name}: 'edge_index' has {len(outside)} edges to or from nodes that do not exist, the first at position {first}: "
            f"{edge_index[0, first].item()} -> {edge_index[1, first].item()}; expected 0 to {nodes - 1}, the rows of 'x'."
        )


def _check_labels(y: Tensor, nodes: int, classes: int, name: str) -> None:
    if y.shape != (nodes,):
        raise DataError(f"{name}: 'y' has shape {tuple(y.shape)}; expected ({nodes},), one label for each row of 'x'.")
    if classes < 2 or (nodes and bool((y == y[0]).all())):
        raise DataError(f"{name}: 'y' holds one class only; expected at least two, or there is nothing to learn.")
    outside = ((y < 0) | (y >= classes)).nonzero().flatten()
    if len(outside):
        node = int(outside[0])
        raise DataError(f"{name}: 'y' has label {int(y[node])} at node {node}; expected 0 to {classes - 1}.")
