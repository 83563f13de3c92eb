"""The ``graph`` signal: node features that flow along with the edges between the nodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Self, final

import torch
from torch import Tensor

from automl.supernet import PayloadFormat
from automl.tasks import Task

__all__ = ["Graph", "GraphFormat"]


class Graph(NamedTuple):
    """Nodes with features and directed edges between them; an undirected edge is two directed ones.

    Several graphs are one graph with several components; tasks on whole graphs also say which component each node is in.

    Args:
        x: features, ``(nodes, width)``.
        edge_index: source and target of each edge, ``(2, edges)`` int64.
        batch: graph of each node, ``(nodes,)`` int64, in rising order; None where graphs are not told apart.
        sizes: number of nodes of each graph, ``(graphs,)`` int64. Its length says how many graphs there are, which ``batch``
            would only say through its values.
        pairs: nodes whose links are asked for, ``(2, pairs)`` int64; None where none are.
    """

    x: Tensor
    edge_index: Tensor
    batch: Tensor | None = None
    sizes: Tensor | None = None
    pairs: Tensor | None = None


@final
class GraphFormat(PayloadFormat):
    """The payload is a ``Graph``; a network takes ``x`` and ``edge_index``.

    On whole graphs it also takes ``batch`` and ``sizes``, for links ``pairs``. Blocks are told the graph that a task trains on.

    Args:
        training_graph: that graph; None where there is no single one.
    """

    channel_axis = 1
    samples_interact = True

    def __init__(self, training_graph: Graph | None = None) -> None:
        self.training_graph: Final = training_graph

    @classmethod
    def for_task(cls, task: Task) -> Self:
        graph = getattr(task, "training_graph", None)
        return cls(graph if isinstance(graph, Graph) else None)

    def facts(self) -> Mapping[str, Any]:
        return {"training_graph": self.training_graph}

    def pack(self, *tensors: Tensor) -> Graph:
        if len(tensors) == 3:
            x, edge_index, pairs = tensors
            return Graph(x, edge_index, pairs=pairs)
        return Graph(*tensors)

    def features(self, payload: Graph) -> Tensor:
        return payload.x

    def with_features(self, payload: Graph, features: Tensor) -> Graph:
        return payload._replace(x=features)

    def example(self, batch: int, width: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        # Random ends give self loops, double edges and nodes without any edge, all of which blocks must bear.
        x = torch.randn(batch, width, generator=generator)
        edge_index = torch.randint(max(1, batch), (2, 4 * batch), generator=generator)
        return x, edge_index
