"""Rooted subgraphs: for each node the part of the graph that simple paths of length at most k from it can reach.

Nodes are those within distance k of the root. An edge belongs to it unless both ends are at distance exactly k, so k = 1 is a
star, and k sees every cycle through the root of length up to 2k. Each root has its own copy of its nodes, called a pair (root,
node).

Source:
    The paper (Li et al. 2025, arXiv:2501.00773) calls this the k-path rooted subgraph; its text was not available. The rule
    is ours and equals, as tests check, what listing all simple paths from the root gives.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import MutableMapping, Sequence
from itertools import accumulate
from typing import Final, NamedTuple, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from automl_graph.substructures import closing_paths, distances, path_matrices, simple_adjacency

__all__ = ["RootedSubgraphs", "rooted_subgraphs"]


class RootedSubgraphs(NamedTuple):
    """The rooted subgraphs of all nodes as one graph of pairs.

    Args:
        root: root of each pair, ``(pairs,)`` int64.
        node: node of each pair, ``(pairs,)`` int64.
        distance: edges between the two, 0 to k, ``(pairs,)`` int64.
        paths: simple paths of length at most k between the two, ``(pairs,)`` float64; 0 for the root itself.
        edges: source and target pair of each edge, ``(2, edges)`` int64, both directions.
        closing: simple paths of length 2 to k (to 2 for k = 1) from each node whose end is its neighbour,
            ``(nodes, max(1, k - 1))`` float64.
    """

    root: Tensor
    node: Tensor
    distance: Tensor
    paths: Tensor
    edges: Tensor
    closing: Tensor


def rooted_subgraphs(edge_index: Tensor, nodes: int, k: int, sizes: Tensor | None = None) -> RootedSubgraphs:
    """Returns the rooted subgraphs of all nodes.

    Those of each graph are remembered by its edges, and those of a whole batch as long as the tensor of its edges lives.

    Args:
        edge_index: edges, ``(2, edges)``; directions, self loops and double edges play no part.
        nodes: number of nodes.
        k: largest length of a path, 1 to 4.
        sizes: number of nodes of each graph; None for one graph. No edge joins two graphs.

    Cost:
        For a new graph of n nodes ``k n³`` operations; for one that is remembered, copying its pairs.
    """
    version = 0 if edge_index.is_inference() else edge_index._version
    known = _OF_BATCHES.get(edge_index)
    if known is None or (known.version, known.nodes) != (version, nodes):
        known = _OF_BATCHES[edge_index] = _Known(version, nodes, {})
    if k not in known.by_length:
        known.by_length[k] = _of_batch(edge_index, [nodes] if sizes is None else sizes.tolist(), k)
    return known.by_length[k]


class _Known(NamedTuple):
    version: int
    nodes: int
    by_length: dict[int, RootedSubgraphs]


def _of_batch(edge_index: Tensor, sizes: Sequence[int], k: int) -> RootedSubgraphs:
    borders = [0, *accumulate(sizes)]
    ends = edge_index.cpu().numpy()
    graph = np.searchsorted(np.asarray(borders), ends[0], side="right") - 1
    order = np.argsort(graph, kind="stable")
    ends, graph = ends[:, order], graph[order]
    starts = np.searchsorted(graph, np.arange(len(borders)))
    parts = [
        _CACHE.get(ends[:, starts[g] : starts[g + 1]] - borders[g], borders[g + 1] - borders[g], k)
        for g in range(len(borders) - 1)
    ]
    first_pair = np.cumsum([0, *(len(part.root) for part in parts)])
    joined = _joined(parts, borders, first_pair.tolist())
    return RootedSubgraphs(*(tensor.to(edge_index.device) for tensor in joined))


def _joined(parts: Sequence[RootedSubgraphs], borders: Sequence[int], first_pair: Sequence[int]) -> RootedSubgraphs:
    if len(parts) == 1:
        return parts[0]
    moved = [
        part._replace(root=part.root + node, node=part.node + node, edges=part.edges + pair)
        for part, node, pair in zip(parts, borders, first_pair, strict=False)
    ]
    root, node, distance, paths, edges, closing = zip(*moved, strict=True)
    return RootedSubgraphs(
        torch.cat(root),
        torch.cat(node),
        torch.cat(distance),
        torch.cat(paths),
        torch.cat(edges, dim=1),
        torch.cat(closing),
    )


def _build(ends: npt.NDArray[np.int64], nodes: int, k: int) -> RootedSubgraphs:
    adjacency = simple_adjacency(torch.from_numpy(ends), nodes, torch.float64)
    far = distances(adjacency, k)
    matrices = path_matrices(adjacency, max(2, k))
    root, node = (far <= k).nonzero(as_tuple=True)
    number = torch.full((nodes, nodes), -1, dtype=torch.int64)
    number[root, node] = torch.arange(len(root))
    source, target = adjacency.nonzero(as_tuple=True)
    inside = torch.minimum(far[:, source], far[:, target]) <= k - 1
    owner, edge = inside.nonzero(as_tuple=True)
    return RootedSubgraphs(
        root=root,
        node=node,
        distance=far[root, node],
        paths=torch.stack(matrices[:k]).sum(0)[root, node],
        edges=torch.stack([number[owner, source[edge]], number[owner, target[edge]]]),
        closing=closing_paths(adjacency, matrices),
    )


@final
class _Cache:
    """Rooted subgraphs by the edges of the graph; the least recently used go first."""

    def __init__(self, pairs: int) -> None:
        self._most: Final = pairs
        self._held = 0
        self._known: OrderedDict[tuple[bytes, int, int], RootedSubgraphs] = OrderedDict()

    def get(self, ends: npt.NDArray[np.int64], nodes: int, k: int) -> RootedSubgraphs:
        key = (ends.tobytes(), nodes, k)
        known = self._known.get(key)
        if known is not None:
            self._known.move_to_end(key)
            return known
        known = self._known[key] = _build(ends, nodes, k)
        self._held += _size(known)
        while self._held > self._most and len(self._known) > 1:
            _, dropped = self._known.popitem(last=False)
            self._held -= _size(dropped)
        return known


def _size(known: RootedSubgraphs) -> int:
    return len(known.root) + known.edges.shape[1]


_CACHE: Final = _Cache(pairs=20_000_000)
# Keyed by identity and weak: an entry lives as long as the tensor of the edges that it describes.
_OF_BATCHES: Final[MutableMapping[Tensor, _Known]] = WeakTensorKeyDictionary()
