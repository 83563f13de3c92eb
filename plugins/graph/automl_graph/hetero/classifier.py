"""The linear head of node classification on heterogeneous graphs."""

from __future__ import annotations

from typing import final

from torch import Tensor, nn

from automl.space import SizeLike
from automl_graph.hetero.schema import Schema
from automl_graph.hetero.signal import HeteroGraph
from automl_graph.hetero.type_linear import TypeLinear

__all__ = ["HeteroClassifier"]


@final
class HeteroClassifier(nn.Module):
    """``logits = W x_i + b`` for the nodes of the first type.

    Args:
        inp: width of the input, in features.
        out: number of classes.
        schema: types and relations; the first type is classified.

    Shape:
        x: for each type ``(nodes, inp)``. Returns logits ``(nodes of the first type, out)``.

    Specialised:
        The same head with ``nn.Linear``.

    Example:
        >>> graph = HeteroGraph((torch.randn(2, 4), torch.randn(5, 4)), ())
        >>> HeteroClassifier(4, 3, schema=Schema(("paper", "author"), ()))(graph).shape
        torch.Size([2, 3])
    """

    def __init__(self, inp: SizeLike, out: int, *, schema: Schema) -> None:
        super().__init__()
        self.linear = TypeLinear(inp, out, [0])

    def forward(self, graph: HeteroGraph) -> Tensor:
        """Returns the logits of the nodes of the first type."""
        logits: Tensor = self.linear(graph.x)[0]
        return logits
