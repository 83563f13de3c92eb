"""Collections of graphs from data sets of torch-geometric."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from automl.errors import DataError
from automl_graph.data.edge_features import edge_table
from automl_graph.data.graph_collection import GraphCollection, Sample, one_hot_degrees

__all__ = ["collection_from_pyg"]


def collection_from_pyg(dataset: Sequence[Any], name: str = "graphs") -> GraphCollection:
    """Returns the graphs of an ``InMemoryDataset``, or of any sequence of ``torch_geometric.data.Data`` with one target each.

    Targets of integers are classes, of real numbers values. Graphs without ``x`` get one-hot degrees, where none has any.
    ``edge_attr`` of integers ``(edges,)`` becomes one-hot; double edges are merged.

    Args:
        dataset: each with ``edge_index``, ``y`` of one entry and perhaps ``x`` and ``edge_attr``.
        name: what messages call it.

    Raises:
        DataError: there are no graphs, or something is missing or unfit; names the graph.

    Example:
        >>> from torch_geometric.data import Data
        >>> ring = torch.tensor([[0, 1, 2], [1, 2, 0]])
        >>> data = collection_from_pyg([Data(x=torch.ones(3, 2), edge_index=ring, y=torch.tensor([k])) for k in (0, 1)])
        >>> len(data.graphs), data.width, data.class_names
        (2, 2, ('0', '1'))
    """
    graphs = [dataset[number] for number in range(len(dataset))]
    if not graphs:
        raise DataError(f"{name}: has no graphs.")
    featured = _all_or_none(graphs, "x", name)
    edges, targets = [], []
    for number, graph in enumerate(graphs):
        for key in ("edge_index", "y"):
            if not isinstance(getattr(graph, key, None), Tensor):
                raise DataError(f"{name}: graph {number} has no tensor {key!r}.")
        if graph.y.numel() != 1:
            raise DataError(f"{name}: graph {number}: 'y' has shape {tuple(graph.y.shape)}; expected one target.")
        edges.append(graph.edge_index.detach().cpu().long())
        targets.append(graph.y.detach().cpu().reshape(()).numpy())
    counts = [int(graph.num_nodes) for graph in graphs]
    features = [graph.x.detach().cpu().float() for graph in graphs] if featured else one_hot_degrees(edges, counts)
    samples = tuple(map(Sample, features, edges, _edge_features(graphs, edges, name)))
    y = np.stack(targets)
    if y.dtype.kind in "iub":
        known, numbers = np.unique(y, return_inverse=True)
        classes = tuple(map(str, known))
        found = GraphCollection(name, samples, numbers.astype(np.int64), classes, degrees=not featured)
    else:
        found = GraphCollection(name, samples, y.astype(np.float64), degrees=not featured)
    return found.without_double_edges()


def _all_or_none(graphs: Sequence[Any], key: str, name: str) -> bool:
    """Tells whether all graphs have a tensor, or none."""
    held = [isinstance(getattr(graph, key, None), Tensor) for graph in graphs]
    if any(held) and not all(held):
        raise DataError(f"{name}: graph {held.index(False)} has no features {key!r}, though others have.")
    return all(held)


def _edge_features(graphs: Sequence[Any], edges: Sequence[Tensor], name: str) -> Sequence[Tensor | None]:
    """Features of the edges of each graph; labels are numbered over all graphs."""
    if not _all_or_none(graphs, "edge_attr", name):
        return [None] * len(graphs)
    arrays = [graph.edge_attr.detach().cpu().numpy() for graph in graphs]
    counts = [ends.shape[-1] for ends in edges]
    for number, (array, count) in enumerate(zip(arrays, counts, strict=True)):
        if array.shape[:1] != (count,) or array.shape[1:] != arrays[0].shape[1:]:
            raise DataError(
                f"{name}: graph {number}: 'edge_attr' has shape {array.shape}; expected {(count, *arrays[0].shape[1:])}, a row "
                "for each edge."
            )
    table = edge_table(np.concatenate(arrays), sum(counts), "edge_attr", name)
    return [None] * len(graphs) if table is None else torch.split(torch.from_numpy(table), counts)
