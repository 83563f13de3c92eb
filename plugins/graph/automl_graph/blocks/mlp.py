"""A layer on every node by itself: what a graph block is without its edges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, final

from torch import nn
from torch.nn import functional as F

from automl import elastic
from automl.space import SizeLike, as_categorical
from automl_graph.blocks.update import NodeUpdate
from automl_graph.options import current_choice, require_choice
from automl_graph.signal import Graph

__all__ = ["MLP"]


@final
class MLP(nn.Module):
    """``out = relu(X W + b)``, then dropout and an optional residual connection; edges play no part.

    Repeated by a slot it is a multilayer perceptron, the baseline that every use of edges must beat.

    Args:
        inp: width of the input, in features.
        out: width of the output, in features.
        residual: add the input to the output; no choice where their widths can differ.
        dropout: share of features dropped in training.
        batch_norm: normalise features over the nodes, before ReLU.
        scale_rows: divide the features of each node by the sum of their sizes first. Counts of words become shares, which fit
            labels of few nodes less closely than counts do.

    Shape:
        x: ``(nodes, inp)``. Returns the same graph with ``(nodes, out)``.

    Cost:
        ``nodes * inp * out`` multiply-accumulates.

    Raises:
        SpaceError: an option has a value that does not exist.

    Specialised:
        The same block with ``nn.Linear`` and plain values.

    Example:
        >>> MLP(4, 3)(Graph(torch.randn(3, 4), torch.tensor([[0, 1], [1, 2]]))).x.shape
        torch.Size([3, 3])
    """

    def __init__(
        self,
        inp: SizeLike,
        out: SizeLike,
        *,
        residual: bool | Sequence[bool] = (True, False),
        dropout: float = 0.5,
        batch_norm: bool = False,
        scale_rows: bool | Sequence[bool] = False,
    ) -> None:
        super().__init__()
        require_choice("scale_rows", scale_rows, (True, False))
        self.scale_rows: Final = as_categorical(scale_rows)
        self.linear = elastic.Linear(inp, out)
        self.update = NodeUpdate(inp, out, residual=residual, dropout=dropout, batch_norm=batch_norm)

    def forward(self, graph: Graph) -> Graph:
        """Returns the graph with transformed features."""
        x = F.normalize(graph.x, p=1, dim=1) if current_choice(self.scale_rows) else graph.x
        return graph._replace(x=self.update(graph.x, self.linear(x)))
