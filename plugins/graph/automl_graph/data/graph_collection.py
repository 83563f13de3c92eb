"""Many graphs with one label or value each, checked."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from automl.errors import DataError
from automl_graph.data.edge_features import check_edge_attr
from automl_graph.pyg import coalesce

__all__ = ["GraphCollection", "Sample", "join_graphs", "one_hot_degrees"]

_LARGEST_DEGREE = 64


@dataclass(frozen=True, eq=False)
class Sample:
    """One graph.

    Args:
        x: features, ``(nodes, width)`` float32.
        edge_index: source and target of each edge, ``(2, edges)`` int64, nodes numbered from 0 in each graph.
        edge_attr: features of the edges, ``(edges, edge width)`` float32; None if there are none.
    """

    x: Tensor
    edge_index: Tensor
    edge_attr: Tensor | None = None


@dataclass(frozen=True, eq=False)
class GraphCollection:
    """Graphs and what is to be predicted for each.

    Args:
        name: where the graphs are from, a built-in name or a path; for messages.
        graphs: the graphs, all of one width, and all or none of them with features of edges, again of one width.
        y: class of each graph, ``(graphs,)`` int64 from 0; or its value, ``(graphs,)`` float64.
        class_names: name of each class; empty for values.
        fold: part of ten-fold cross-validation that each graph is tested in, ``(graphs,)``, -1 for none; None if not given.
        degrees: features are degrees, one-hot, and have to be worked out anew when edges change.
        merged_edges: number of edges that were left out because they stood there before.

    Raises:
        DataError: sizes do not fit together, an edge ends at no node, a number is not finite, or there is one class only.
    """

    name: str
    graphs: tuple[Sample, ...]
    y: npt.NDArray[np.int64] | npt.NDArray[np.float64]
    class_names: tuple[str, ...] = ()
    fold: npt.NDArray[np.int64] | None = None
    degrees: bool = False
    merged_edges: int = 0

    def __post_init__(self) -> None:
        if len(self.graphs) != len(self.y) or not len(self.y):
            raise DataError(f"{self.name}: {len(self.graphs)} graphs have {len(self.y)} labels; expected one each.")
        if self.fold is not None and len(self.fold) != len(self.y):
            raise DataError(f"{self.name}: 'fold' has {len(self.fold)} entries for {len(self.y)} graphs.")
        if not np.isfinite(self.y).all():
            first = int(np.flatnonzero(~np.isfinite(self.y))[0])
            raise DataError(f"{self.name}: 'y' is not finite at graph {first}; drop graphs without a label.")
        if self.y.dtype.kind == "i" and len(self.class_names) < 2:
            raise DataError(
                f"{self.name}: 'y' holds one class only; expected at least two, or there is nothing to learn."
            )
        for number, graph in enumerate(self.graphs):
            _check(graph, self.width, f"{self.name}: graph {number}")
            check_edge_attr(
                graph.edge_attr, graph.edge_index.shape[1], f"{self.name}: graph {number}", width=self.edge_width
            )

    @property
    def width(self) -> int:
        """Number of features of a node."""
        return int(self.graphs[0].x.shape[1])

    @property
    def edge_width(self) -> int:
        """Number of features of an edge; 0 if edges have none."""
        first = self.graphs[0].edge_attr
        return 0 if first is None else int(first.shape[-1])

    def without_double_edges(self) -> GraphCollection:
        """Returns the same graphs with each edge once; its features are the mean over the edges that were one."""
        merged, double = [], 0
        for graph in self.graphs:
            edges, attributes = coalesce(graph.edge_index, graph.edge_attr, num_nodes=len(graph.x), reduce="mean")
            fewer = graph.edge_index.shape[1] - edges.shape[1]
            # The order of edges that need no merging is kept, and with it what is known of these data by their fingerprint.
            merged.append(Sample(graph.x, edges, attributes) if fewer else graph)
            double += fewer
        if double and self.degrees:
            degrees = one_hot_degrees([graph.edge_index for graph in merged], [len(graph.x) for graph in merged])
            merged = [replace(graph, x=x) for graph, x in zip(merged, degrees, strict=True)]
        return replace(self, graphs=tuple(merged), merged_edges=self.merged_edges + double)

    def without_edge_features(self) -> GraphCollection:
        """Returns the same graphs without features of edges."""
        return replace(self, graphs=tuple(replace(graph, edge_attr=None) for graph in self.graphs))

    @cached_property
    def fingerprint(self) -> str:
        """Digest of features, edges and labels, 16 hexadecimal digits."""
        digest = hashlib.sha256(np.ascontiguousarray(self.y).tobytes())
        for graph in self.graphs:
            for tensor in (graph.x, graph.edge_index, graph.edge_attr):
                if tensor is None:
                    continue
                digest.update(str((tuple(tensor.shape), tensor.dtype)).encode())
                digest.update(tensor.contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]


def join_graphs(graphs: Sequence[Sample]) -> tuple[Tensor, ...]:
    """Returns ``x``, ``edge_index``, ``batch``, ``sizes`` and, where there is one, ``edge_attr`` of graphs side by side.

    See ``Graph`` for their shapes.
    """
    device = graphs[0].x.device
    sizes = torch.tensor([len(graph.x) for graph in graphs])
    starts = (sizes.cumsum(0) - sizes).tolist()
    edges = [graph.edge_index + start for graph, start in zip(graphs, starts, strict=True)]
    batch = torch.repeat_interleave(torch.arange(len(graphs)), sizes)
    joined = torch.cat([graph.x for graph in graphs]), torch.cat(edges, dim=1), batch.to(device), sizes.to(device)
    attributes = [graph.edge_attr for graph in graphs if graph.edge_attr is not None]
    return (*joined, torch.cat(attributes)) if attributes else joined


def one_hot_degrees(edges: Sequence[Tensor], nodes: Sequence[int], width: int | None = None) -> list[Tensor]:
    """Returns features for graphs without any: the in-degree of each node, one-hot.

    Args:
        edges: edges of each graph, ``(2, edges)``.
        nodes: number of nodes of each graph.
        width: number of features; by default the largest degree + 1, at most 65. Larger degrees count as the largest.
    """
    counts = [torch.bincount(e[1], minlength=n) for e, n in zip(edges, nodes, strict=True)]
    if width is None:
        width = min(_LARGEST_DEGREE, max((int(c.max()) for c in counts if len(c)), default=0)) + 1
    return [torch.nn.functional.one_hot(c.clamp(max=width - 1), width).float() for c in counts]


def _check(graph: Sample, width: int, where: str) -> None:
    nodes = graph.x.shape[0]
    if graph.x.ndim != 2 or graph.x.shape[1] != width or not width or not nodes:
        raise DataError(
            f"{where}: features have shape {tuple(graph.x.shape)}; expected (nodes, {width}) with at least one of each."
        )
    if not bool(torch.isfinite(graph.x).all()):
        raise DataError(f"{where}: a feature is not finite; expected finite numbers. Replace or drop them.")
    ends = graph.edge_index
    if ends.ndim != 2 or ends.shape[0] != 2:
        raise DataError(f"{where}: edges have shape {tuple(ends.shape)}; expected (2, edges).")
    if ends.numel() and (int(ends.min()) < 0 or int(ends.max()) >= nodes):
        raise DataError(
            f"{where}: edges end at nodes {int(ends.min())} to {int(ends.max())}; expected 0 to {nodes - 1}, numbered "
            "from 0 in each graph."
        )
