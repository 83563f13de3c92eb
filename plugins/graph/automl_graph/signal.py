"""The ``graph`` signal: node features that flow along with the edges between the nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, Self, final

import torch
from torch import Tensor

from automl.errors import ConfigError, DataError
from automl.supernet import PayloadFormat
from automl.tasks import Task

__all__ = ["Graph", "GraphFormat", "edge_features", "select_edges"]


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
        edge_attr: features of the edges, ``(edges, edge width)``, in the order of ``edge_index``; None where there are none. What
            adds, drops or sorts edges does the same to these.
    """

    x: Tensor
    edge_index: Tensor
    batch: Tensor | None = None
    sizes: Tensor | None = None
    pairs: Tensor | None = None
    edge_attr: Tensor | None = None


def edge_features(graph: Graph) -> Tensor:
    """Returns the features of the edges, for a block that was built for some.

    Raises:
        DataError: the graph has none.
    """
    if graph.edge_attr is None:
        raise DataError("edge_attr: the graph has no features of edges, but the block was built for some (edge_width).")
    return graph.edge_attr


def select_edges(edge_index: Tensor, edge_attr: Tensor | None, chosen: Tensor) -> tuple[Tensor, Tensor | None]:
    """Returns some of the edges and their features.

    Args:
        edge_index: ``(2, edges)``.
        edge_attr: ``(edges, width)``; None if there are none.
        chosen: which edges, ``(edges,)`` bool, or their positions.
    """
    return edge_index[:, chosen], None if edge_attr is None else edge_attr[chosen]


@final
class GraphFormat(PayloadFormat):
    """The payload is a ``Graph``; a network takes those of its tensors that the task names as inputs.

    Blocks are told how many features an edge has, and the graph that a task trains on.

    Args:
        inputs: fields of ``Graph`` in the order of a network's inputs.
        edge_width: features of an edge; 0 where ``inputs`` has no ``edge_attr``.
        training_graph: the graph to train on; None where there is no single one.

    Raises:
        ConfigError: a graph has no such field.
    """

    channel_axis = 1
    samples_interact = True

    def __init__(
        self,
        inputs: Sequence[str] = ("x", "edge_index"),
        *,
        edge_width: int = 0,
        training_graph: Graph | None = None,
    ) -> None:
        unknown = sorted(set(inputs) - set(Graph._fields))
        if unknown:
            raise ConfigError(f"signal 'graph': has no {unknown[0]!r}; a task may give {', '.join(Graph._fields)}.")
        self.inputs: Final = tuple(inputs)
        self.edge_width: Final = edge_width
        self.training_graph: Final = training_graph

    @classmethod
    def for_task(cls, task: Task) -> Self:
        graph, names, width = getattr(task, "training_graph", None), task.input_names, 0
        if task.signal != "graph" and not set(names) <= set(Graph._fields):
            return cls()  # the task gives another signal, of which a block makes graphs
        if "edge_attr" in names:
            width = task.example_inputs(1)[names.index("edge_attr")].shape[1]
        return cls(names, edge_width=width, training_graph=graph if isinstance(graph, Graph) else None)

    def facts(self) -> Mapping[str, Any]:
        return {"training_graph": self.training_graph, "edge_width": self.edge_width}

    def pack(self, *tensors: Tensor) -> Graph:
        return Graph(**dict(zip(self.inputs, tensors, strict=True)))

    def unpack(self, graph: Graph) -> tuple[Tensor, ...]:
        """Returns the inputs of a network that ``pack`` makes this graph of."""
        return tuple(getattr(graph, name) for name in self.inputs)

    def features(self, payload: Graph) -> Tensor:
        return payload.x

    def with_features(self, payload: Graph, features: Tensor) -> Graph:
        return payload._replace(x=features)

    def example(self, batch: int, width: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        # Random ends give self loops, double edges and nodes without any edge, all of which blocks must bear.
        x = torch.randn(batch, width, generator=generator)
        edge_index = torch.randint(max(1, batch), (2, 4 * batch), generator=generator)
        drawn = Graph(
            x,
            edge_index,
            batch=torch.zeros(batch, dtype=torch.int64),
            sizes=torch.tensor([batch]),
            pairs=edge_index[:, :batch],
            edge_attr=torch.randn(edge_index.shape[1], self.edge_width, generator=generator),
        )
        return self.unpack(drawn)
