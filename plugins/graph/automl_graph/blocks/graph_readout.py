"""The head of tasks on whole graphs: one vector for each graph, then a linear layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from torch import Tensor, nn

from automl import elastic
from automl.space import SizeLike
from automl_graph.aggregators import build_aggregator
from automl_graph.readout import graph_of_nodes
from automl_graph.signal import Graph

__all__ = ["GraphReadout"]


@final
class GraphReadout(nn.Module):
    """``outputs = W aggregate(x_i for i in graph) + b`` for every graph.

    Args:
        inp: width of the input, in features.
        out: number of classes, or of values.
        readout: how the nodes of a graph are combined; any aggregator of ``graph.lcm``.
        max_nodes: nodes of a graph that learned aggregators combine at most; see ``graph.lcm``.

    Shape:
        x: ``(nodes, inp)``. Returns ``(graphs, out)``; without ``sizes`` all nodes are one graph, and no nodes are no graph.

    Cost:
        ``nodes * inp + graphs * inp * out`` multiply-accumulates for sum, mean and max.

    Raises:
        SpaceError: an aggregator does not exist.

    Specialised:
        The same head with ``nn.Linear`` and the chosen aggregator.

    Example:
        >>> graphs = Graph(torch.randn(5, 4), torch.tensor([[0], [1]]), torch.tensor([0, 0, 1, 1, 1]), torch.tensor([2, 3]))
        >>> GraphReadout(4, 3)(graphs).shape
        torch.Size([2, 3])
    """

    def __init__(
        self,
        inp: SizeLike,
        out: int,
        *,
        readout: str | Sequence[str] = ("mean", "sum", "max"),
        max_nodes: int = 1024,
    ) -> None:
        super().__init__()
        self.readout = build_aggregator("readout", readout, inp, max_messages=max_nodes)
        self.linear = elastic.Linear(inp, out)

    def forward(self, graph: Graph) -> Tensor:
        """Returns the outputs of all graphs."""
        batch, graphs = graph_of_nodes(graph)
        outputs: Tensor = self.linear(self.readout(graph.x, batch, graphs))
        return outputs
