"""The undirected simple graph under a list of edges, as pairs of neighbouring nodes.

A sheaf lives on an undirected graph. Direction, repetition and self loops of the stored edges carry no information for it,
so each pair of neighbours is taken once and holds the restriction maps of both of its ends. No lookup of reverse edges is
needed then, and a Laplacian made of such pairs is symmetric and positive semidefinite by construction.

An exported model cannot drop entries, because the number of pairs depends on the values of the edges. There all stored
edges stay, and each has the share ``1 / (how often its pair is stored)``, 0 for self loops, which gives the same sums.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Final, NamedTuple

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from automl.errors import DataError
from automl_graph.pyg import scatter

__all__ = ["NodePairs", "node_pairs"]


class NodePairs(NamedTuple):
    """Neighbouring nodes.

    Args:
        first: one node of each pair, ``(pairs,)`` int64.
        second: the other, ``(pairs,)`` int64.
        nodes: number of nodes.
        share: how much of its pair each entry stands for, ``(pairs,)``; None where each pair is there once.
    """

    first: Tensor
    second: Tensor
    nodes: int
    share: Tensor | None = None

    def gather(self, first: Tensor, second: Tensor) -> Tensor:
        """Returns for each node the sum of ``first`` over pairs that it opens and of ``second`` over those it closes.

        Shape:
            first, second: ``(pairs, ...)``. Returns ``(nodes, ...)``.
        """
        at_first: Tensor = scatter(first, self.first, dim=0, dim_size=self.nodes, reduce="sum")
        at_second: Tensor = scatter(second, self.second, dim=0, dim_size=self.nodes, reduce="sum")
        return at_first + at_second

    def degree(self, dtype: torch.dtype) -> Tensor:
        """Returns the number of neighbours of each node, ``(nodes,)``."""
        ones = torch.ones_like(self.first, dtype=dtype) if self.share is None else self.share.to(dtype)
        return self.gather(ones, ones)


def node_pairs(edge_index: Tensor, nodes: int) -> NodePairs:
    """Returns the pairs of neighbours of a graph; computed once for the same unchanged tensor.

    Args:
        edge_index: source and target of each edge, ``(2, edges)`` int64; in any direction, repeated or not.
        nodes: number of nodes.

    Raises:
        DataError: an edge ends at no node. Not checked while a model is traced, where values are unknown.
    """
    if torch.compiler.is_compiling():
        return _traced(edge_index, nodes)
    version = 0 if edge_index.is_inference() else edge_index._version
    known = _KNOWN.get(edge_index)
    if known is None or known[0] != (version, nodes):
        known = _KNOWN[edge_index] = ((version, nodes), _distinct(edge_index, nodes))
    return known[1]


def _distinct(edge_index: Tensor, nodes: int) -> NodePairs:
    smallest, largest = edge_index.aminmax(dim=0) if edge_index.shape[1] else (edge_index[0], edge_index[1])
    if edge_index.numel() and (int(smallest.min()) < 0 or int(largest.max()) >= nodes):
        raise DataError(
            f"edge_index: holds node {int(smallest.min())} to {int(largest.max())}, but the graph has {nodes} nodes, "
            "numbered from 0."
        )
    keys = torch.unique((smallest * nodes + largest)[smallest != largest])
    return NodePairs(keys // max(nodes, 1), keys % max(nodes, 1), nodes)


def _traced(edge_index: Tensor, nodes: int) -> NodePairs:
    first, second = edge_index[0], edge_index[1]
    keys, order = torch.sort(torch.minimum(first, second) * nodes + torch.maximum(first, second))
    before = torch.cat([keys.new_full((1,), -1), keys])[:-1]
    group = (keys != before).long().cumsum(0) - 1
    ones = torch.ones_like(group)
    count: Tensor = torch.zeros_like(group).scatter_add(0, group, ones)[group]
    stored = torch.zeros_like(count).scatter(0, order, count)
    share = torch.where(first == second, 0.0, 1.0 / stored.double())
    return NodePairs(first, second, nodes, share)


# Keyed by identity and weak: an entry lives as long as the graph tensor that it describes.
_KNOWN: Final[MutableMapping[Tensor, tuple[tuple[int, int], NodePairs]]] = WeakTensorKeyDictionary()
