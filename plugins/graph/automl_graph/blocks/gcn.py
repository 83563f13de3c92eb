"""Graph convolution of Kipf and Welling, "Semi-supervised classification with graph convolutional networks".

ICLR 2017, arXiv:1609.02907.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, final

from torch import nn

from automl import elastic
from automl.space import SizeLike, as_categorical
from automl_graph.blocks.update import NodeUpdate
from automl_graph.options import current_choice, require_choice
from automl_graph.propagation import adjacency
from automl_graph.signal import Graph

__all__ = ["GCN"]


@final
class GCN(nn.Module):
    """``out = relu(Â X W + b)`` with ``Â = D^-1/2 (A + I) D^-1/2``, then dropout and an optional residual connection.

    Args:
        inp: width of the input, in features.
        out: width of the output, in features.
        norm: normalisation of the adjacency matrix: ``sym`` (paper) or ``row``.
        self_loops: whether every node is its own neighbour (paper).
        residual: add the input to the output; no choice where their widths can differ.
        dropout: share of features dropped in training.
        batch_norm: normalise features over the nodes, before ReLU.

    Shape:
        x: ``(nodes, inp)``. Returns the same graph with ``(nodes, out)``.

    Cost:
        ``(edges + nodes) * inp + nodes * inp * out`` multiply-accumulates.

    Raises:
        SpaceError: an option has a value that does not exist.

    Specialised:
        The same block with ``nn.Linear`` and plain values.

    Source:
        Equation 2. Deviations: batch normalisation and the residual connection (appendix B) are options; features are
        propagated before they are transformed, which is the same product.

    Example:
        >>> ring = torch.tensor([[0, 1, 2], [1, 2, 0]])
        >>> GCN(4, 3)(Graph(torch.randn(3, 4), ring)).x.shape
        torch.Size([3, 3])
    """

    def __init__(
        self,
        inp: SizeLike,
        out: SizeLike,
        *,
        norm: str | Sequence[str] = "sym",
        self_loops: bool | Sequence[bool] = True,
        residual: bool | Sequence[bool] = (True, False),
        dropout: float = 0.5,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        require_choice("norm", norm, ("sym", "row"))
        require_choice("self_loops", self_loops, (True, False))
        self.norm: Final = as_categorical(norm)
        self.self_loops: Final = as_categorical(self_loops)
        self.linear = elastic.Linear(inp, out)
        self.update = NodeUpdate(inp, out, residual=residual, dropout=dropout, batch_norm=batch_norm)

    def forward(self, graph: Graph) -> Graph:
        """Returns the graph with convolved features."""
        matrix = adjacency(graph.edge_index, graph.x.shape[0])
        mixed = matrix.propagate(graph.x, norm=current_choice(self.norm), self_loops=current_choice(self.self_loops))
        return graph._replace(x=self.update(graph.x, self.linear(mixed)))
