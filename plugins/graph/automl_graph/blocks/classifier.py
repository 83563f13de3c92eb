"""The linear head of node classification."""

from __future__ import annotations

from typing import final

from torch import Tensor, nn

from automl import elastic
from automl.space import SizeLike
from automl_graph.signal import Graph

__all__ = ["NodeClassifier"]


@final
class NodeClassifier(nn.Module):
    """``logits = W x_i + b`` for every node; edges play no part.

    Args:
        inp: width of the input, in features.
        out: number of classes.

    Shape:
        x: ``(nodes, inp)``. Returns logits ``(nodes, out)``.

    Cost:
        ``nodes * inp * out`` multiply-accumulates.

    Specialised:
        The same head with ``nn.Linear``.

    Example:
        >>> NodeClassifier(4, 2)(Graph(torch.randn(3, 4), torch.tensor([[0, 1], [1, 2]]))).shape
        torch.Size([3, 2])
    """

    def __init__(self, inp: SizeLike, out: int) -> None:
        super().__init__()
        self.linear = elastic.Linear(inp, out)

    def forward(self, graph: Graph) -> Tensor:
        """Returns the logits of all nodes."""
        logits: Tensor = self.linear(graph.x)
        return logits
