"""Collections of graphs from data sets of torch-geometric."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from automl.errors import DataError
from automl_graph.data.graph_collection import GraphCollection, Sample, one_hot_degrees

__all__ = ["collection_from_pyg"]


def collection_from_pyg(dataset: Sequence[Any], name: str = "graphs") -> GraphCollection:
    """Returns the graphs of an ``InMemoryDataset``, or of any sequence of ``torch_geometric.data.Data`` with one target each.

    Targets of integers are classes, of real numbers values. Graphs without ``x`` get one-hot degrees, where none has any.

    Args:
        dataset: each with ``edge_index``, ``y`` of one entry and perhaps ``x``.
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
    featured = [isinstance(graph.x, Tensor) for graph in graphs]
    if any(featured) and not all(featured):
        raise DataError(f"{name}: graph {featured.index(False)} has no features 'x', though others have.")
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
    features = [graph.x.detach().cpu().float() for graph in graphs] if all(featured) else one_hot_degrees(edges, counts)
    samples = tuple(Sample(x, ends) for x, ends in zip(features, edges, strict=True))
    y = np.stack(targets)
    if y.dtype.kind in "iub":
        known, numbers = np.unique(y, return_inverse=True)
        return GraphCollection(
            name, samples, numbers.astype(np.int64), tuple(map(str, known)), degrees=not all(featured)
        )
    return GraphCollection(name, samples, y.astype(np.float64), degrees=not all(featured))
