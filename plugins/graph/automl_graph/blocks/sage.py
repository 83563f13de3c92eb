"""GraphSAGE convolution: Hamilton, Ying and Leskovec, "Inductive representation learning on large graphs".

NeurIPS 2017, arXiv:1706.02216.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, final

from torch import Tensor, nn

from automl import elastic
from automl.space import SizeLike, as_categorical
from automl_graph.blocks.update import NodeUpdate
from automl_graph.options import current_choice, require_choice
from automl_graph.propagation import Normalisation, adjacency
from automl_graph.pyg import scatter
from automl_graph.signal import Graph

__all__ = ["SAGE"]


@final
class SAGE(nn.Module):
    """``out_i = relu(W_self x_i + W_near aggregate(x_j for j -> i) + b)``, then dropout and an optional residual connection.

    Args:
        inp: width of the input, in features.
        out: width of the output, in features.
        aggregation: ``mean``, ``sum`` or element-wise ``max`` over the neighbours; nodes without any receive zeros.
        residual: add the input to the output; no choice where their widths can differ.
        dropout: share of features dropped in training.
        batch_norm: normalise features over the nodes, before ReLU.

    Shape:
        x: ``(nodes, inp)``. Returns the same graph with ``(nodes, out)``.

    Cost:
        ``edges * inp + 2 * nodes * inp * out`` multiply-accumulates; the maximum needs ``edges * inp`` comparisons instead of
        the first term, and takes several times as long in training.

    Raises:
        SpaceError: an option has a value that does not exist.

    Specialised:
        The same block with ``nn.Linear`` and plain values.

    Source:
        Algorithm 1 with concatenation written as two matrices. Deviations: all neighbours are used, none are sampled;
        outputs are not scaled to unit length; the maximum is taken of the features themselves, without a pooling layer.

    Example:
        >>> ring = torch.tensor([[0, 1, 2], [1, 2, 0]])
        >>> SAGE(4, 3)(Graph(torch.randn(3, 4), ring)).x.shape
        torch.Size([3, 3])
    """

    def __init__(
        self,
        inp: SizeLike,
        out: SizeLike,
        *,
        aggregation: str | Sequence[str] = "mean",
        residual: bool | Sequence[bool] = (True, False),
        dropout: float = 0.5,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        require_choice("aggregation", aggregation, ("mean", "sum", "max"))
        self.aggregation: Final = as_categorical(aggregation)
        self.own = elastic.Linear(inp, out)
        self.near = elastic.Linear(inp, out, bias=False)
        self.update = NodeUpdate(inp, out, residual=residual, dropout=dropout, batch_norm=batch_norm)

    def forward(self, graph: Graph) -> Graph:
        """Returns the graph with convolved features."""
        mixed = self._aggregate(graph)
        return graph._replace(x=self.update(graph.x, self.own(graph.x) + self.near(mixed)))

    def _aggregate(self, graph: Graph) -> Tensor:
        aggregation = current_choice(self.aggregation)
        nodes = graph.x.shape[0]
        if aggregation == "max":
            source, target = graph.edge_index[0], graph.edge_index[1]
            largest: Tensor = scatter(graph.x[source], target, dim=0, dim_size=nodes, reduce="max")
            return largest
        norm: Normalisation = "row" if aggregation == "mean" else "none"
        return adjacency(graph.edge_index, nodes).propagate(graph.x, norm=norm, self_loops=False)
