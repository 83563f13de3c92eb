"""Products with the adjacency matrix of a graph: cached per graph in training, plain tensor operations in an export.

An edge ``(j, i)`` in ``edge_index`` sends features from node ``j`` to node ``i``. With ``A[i, j] = 1`` for it and degrees
``d_i = sum_j A[i, j]``, three normalisations are offered: ``none`` is ``A``, ``row`` is ``D^-1 A`` and ``sym`` is
``D^-1/2 A D^-1/2``. With self loops, ``A`` has ones on its diagonal before degrees are counted; self loops that a graph
already has are not counted twice (Kipf and Welling 2017, arXiv:1609.02907). Nodes without incoming edges receive zeros.

Both ways of computing give the same product up to rounding. The cached one holds compressed sparse rows with the weights
in them, built once for each graph tensor and dropped with it; products with constant features are kept, too. The traced one
recomputes degrees from the edges, because an exported model meets graphs of any size.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import MutableMapping
from typing import Final, Literal, final

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from automl.errors import DataError
from automl_graph.pyg import add_remaining_self_loops, scatter
from automl_graph.sparse import SPARSE_DTYPES, compressed_rows, sparse_product
from automl_graph.sparse_features import SparseFeatures, sparse_features

__all__ = ["Adjacency", "Normalisation", "adjacency", "propagation_limit"]

Normalisation = Literal["none", "row", "sym"]


class Adjacency(ABC):
    """The adjacency matrix of one graph."""

    @abstractmethod
    def propagate(self, x: Tensor, *, norm: Normalisation, self_loops: bool) -> Tensor:
        """Returns the product of the normalised adjacency matrix with node features.

        Args:
            x: features, ``(nodes, width)``.
            norm: how edges are weighted; see the module.
            self_loops: whether every node is its own neighbour.

        Returns:
            ``(nodes, width)`` in the dtype of ``x``.

        Cost:
            ``(edges + nodes if self_loops) * width`` multiply-accumulates.
        """


def adjacency(edge_index: Tensor, nodes: int) -> Adjacency:
    """Returns the adjacency matrix of a graph; the same object for the same unchanged tensor.

    Args:
        edge_index: source and target of each edge, ``(2, edges)`` int64.
        nodes: number of nodes.

    Raises:
        DataError: an edge ends at no node. Not checked while a model is traced, where values are unknown.
    """
    if torch.compiler.is_compiling():
        return _TracedAdjacency(edge_index, nodes)
    version = 0 if edge_index.is_inference() else edge_index._version
    known = _KNOWN.get(edge_index)
    if known is None or (known.version, known.nodes) != (version, nodes):
        known = _KNOWN[edge_index] = _CachedAdjacency(edge_index, nodes, version)
    return known


def propagation_limit(edge_index: Tensor, nodes: int, *, norm: Literal["row", "sym"]) -> Tensor:
    """Returns the limit of the powers of the normalised adjacency matrix of a connected undirected graph with self loops.

    ``row``: every row is ``d_j / (2 m + n)``. ``sym``: ``u u^T`` with ``u_i = sqrt(d_i / (2 m + n))``. Here ``d`` are
    degrees with self loops, ``m`` undirected edges and ``n`` nodes. Repeated propagation forgets everything but this.

    Args:
        edge_index: both directions of every edge, ``(2, 2 m)`` int64.
        nodes: number of nodes, ``n``.
        norm: which normalisation is repeated.

    Returns:
        ``(nodes, nodes)`` float64.

    Source:
        Liu, Gao and Ji 2020, arXiv:2007.09296, section 3.
    """
    edges, _ = add_remaining_self_loops(edge_index, num_nodes=nodes)
    share = torch.bincount(edges[1], minlength=nodes).double() / edges.shape[1]
    return share.expand(nodes, nodes).clone() if norm == "row" else torch.outer(share.sqrt(), share.sqrt())


@final
class _CachedAdjacency(Adjacency):
    def __init__(self, edge_index: Tensor, nodes: int, version: int) -> None:
        smallest, largest = (int(edge_index.min()), int(edge_index.max())) if edge_index.numel() else (0, -1)
        if smallest < 0 or largest >= nodes:
            raise DataError(
                f"edge_index: holds node {smallest} to {largest}, but the graph has {nodes} nodes, numbered from 0."
            )
        self.nodes: Final = nodes
        self.version: Final = version
        # A copy: a view would keep the tensor alive that this object must disappear with.
        self._edges: Final = edge_index.clone()
        self._matrices: dict[tuple[Normalisation, bool, torch.dtype], tuple[Tensor, Tensor]] = {}
        self._kept: dict[tuple[Normalisation, bool], MutableMapping[Tensor, Tensor]] = {}

    def propagate(self, x: Tensor, *, norm: Normalisation, self_loops: bool) -> Tensor:
        if not isinstance(x, SparseFeatures) or not x.constant:
            return self._product(x, norm, self_loops)
        kept = self._kept.setdefault((norm, self_loops), WeakTensorKeyDictionary())
        if x not in kept:
            kept[x] = sparse_features(self._product(x.dense(), norm, self_loops))
        return kept[x]

    def _product(self, x: Tensor, norm: Normalisation, self_loops: bool) -> Tensor:
        dtype = x.dtype if x.dtype in SPARSE_DTYPES else torch.float32
        key = (norm, self_loops, dtype)
        if key not in self._matrices:
            self._matrices[key] = self._build(norm, self_loops, dtype)
        product: Tensor = sparse_product(*self._matrices[key], x.to(dtype))
        return product.to(x.dtype)

    def _build(self, norm: Normalisation, self_loops: bool, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        edges = add_remaining_self_loops(self._edges, num_nodes=self.nodes)[0] if self_loops else self._edges
        source, target = edges
        degree = torch.bincount(target, minlength=self.nodes).to(dtype)
        to_target, to_source = _scales(degree, norm)
        weight = to_target[target] * to_source[source]
        return (
            compressed_rows(target, source, weight, self.nodes),
            compressed_rows(source, target, weight, self.nodes),
        )


@final
class _TracedAdjacency(Adjacency):
    def __init__(self, edge_index: Tensor, nodes: int) -> None:
        self._source, self._target = edge_index[0], edge_index[1]
        self._nodes: Final = nodes
        # Worked out once for all hops of a block; every use would be a copy in the exported graph.
        self._weights: dict[tuple[Normalisation, bool, torch.dtype], tuple[Tensor, Tensor, Tensor]] = {}

    def propagate(self, x: Tensor, *, norm: Normalisation, self_loops: bool) -> Tensor:
        key = (norm, self_loops, x.dtype)
        if key not in self._weights:
            self._weights[key] = self._weigh(norm, self_loops, x.dtype)
        to_target, to_source, lacking = self._weights[key]
        x = x * to_source
        total: Tensor = scatter(x[self._source], self._target, dim=0, dim_size=self._nodes, reduce="sum")
        if self_loops:
            total = total + lacking * x
        return total * to_target

    def _weigh(self, norm: Normalisation, self_loops: bool, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
        """Factors of each node as a target and as a source, and what its own edge to itself lacks to be one."""
        degree = self._count(torch.ones_like(self._target), dtype)
        # Adding what the diagonal lacks instead of editing the edges keeps every shape independent of the values.
        lacking = 1 - self._count(self._source == self._target, dtype)
        to_target, to_source = _scales(degree + lacking if self_loops else degree, norm)
        return to_target[:, None], to_source[:, None], lacking[:, None]

    def _count(self, marks: Tensor, dtype: torch.dtype) -> Tensor:
        counted: Tensor = scatter(marks.to(dtype), self._target, dim=0, dim_size=self._nodes, reduce="sum")
        return counted


def _scales(degree: Tensor, norm: Normalisation) -> tuple[Tensor, Tensor]:
    """Factors of each node as a target and as a source; a degree of 0 gives 0."""
    ones = torch.ones_like(degree)
    if norm == "none":
        return ones, ones
    inverse = torch.where(degree > 0, 1 / degree.clamp(min=1), 0)
    return (inverse, ones) if norm == "row" else (inverse.sqrt(), inverse.sqrt())


# Keyed by identity and weak: an entry lives as long as the graph tensor that it describes.
_KNOWN: Final[MutableMapping[Tensor, _CachedAdjacency]] = WeakTensorKeyDictionary()
