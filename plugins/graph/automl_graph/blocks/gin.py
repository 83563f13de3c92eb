"""Graph isomorphism network: Xu et al., "How powerful are graph neural networks?".

ICLR 2019, arXiv:1810.00826.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast, final

import torch
from torch import Tensor, nn

from automl import elastic
from automl.space import SizeLike, as_categorical, as_ordinal
from automl_graph.blocks.update import NodeUpdate
from automl_graph.options import current_choice, require_number
from automl_graph.propagation import adjacency
from automl_graph.pyg import scatter
from automl_graph.signal import Graph, edge_features

__all__ = ["GIN"]


@final
class GIN(nn.Module):
    """``out = relu(MLP((1 + eps) x_i + sum_j x_j))``, with a perceptron of two linear layers.

    Sums keep how many neighbours there are, which means and maxima forget. Where edges have features, a neighbour sends
    ``relu(x_j + W e_ij + c)`` in place of ``x_j``.

    Args:
        inp: width of the input, in features.
        out: width of the output, in features.
        hidden: width inside the perceptron, in features.
        eps: how much more a node counts than one of its neighbours.
        residual: add the input to the output; no choice where their widths can differ.
        dropout: share of features dropped in training.
        batch_norm: normalise the hidden features over the nodes (paper); sums over many neighbours are large without it.
        edge_width: features of an edge, which spaces give; 0 for edges without any.

    Shape:
        x: ``(nodes, inp)``. Returns the same graph with ``(nodes, out)``.

    Cost:
        ``edges * inp + nodes * hidden * (inp + out)`` multiply-accumulates. With features of edges the first term is ``edges *
        inp * edge_width``, and training keeps ``edges * inp`` values.

    Raises:
        SpaceError: an option has a value that does not exist.

    Specialised:
        The same block with ``nn.Linear`` and plain values.

    Source:
        Equation 4.1. Deviation: ``eps`` is a number or a choice, not learned; 0 is GIN-0 of the paper. Features of edges
        enter as in Hu et al. 2020, "Strategies for pre-training graph neural networks", arXiv:1905.12265, in the form of
        torch-geometric's ``GINEConv``.

    Example:
        >>> ring = torch.tensor([[0, 1, 2], [1, 2, 0]])
        >>> GIN(4, 3)(Graph(torch.randn(3, 4), ring)).x.shape
        torch.Size([3, 3])
    """

    def __init__(
        self,
        inp: SizeLike,
        out: SizeLike,
        *,
        hidden: int | Sequence[int] = (32, 64),
        eps: float | Sequence[float] = 0.0,
        residual: bool | Sequence[bool] = (True, False),
        dropout: float = 0.5,
        batch_norm: bool = True,
        edge_width: int = 0,
    ) -> None:
        super().__init__()
        require_number("hidden", hidden, smallest=1)
        self.hidden: Final = cast(SizeLike, as_ordinal(hidden))
        self.eps: Final = as_categorical(eps)
        self.of_edge = elastic.Linear(edge_width, inp) if edge_width else None
        self.first = elastic.Linear(inp, self.hidden)
        self.normalise = elastic.BatchNorm1d(self.hidden) if batch_norm else nn.Identity()
        self.second = elastic.Linear(self.hidden, out)
        self.update = NodeUpdate(inp, out, residual=residual, dropout=dropout, batch_norm=False)

    def forward(self, graph: Graph) -> Graph:
        """Returns the graph with convolved features."""
        total = (1 + current_choice(self.eps)) * graph.x + self._near(graph)
        features: Tensor = self.second(torch.relu(self.normalise(self.first(total))))
        return graph._replace(x=self.update(graph.x, features))

    def _near(self, graph: Graph) -> Tensor:
        """The sum over neighbours."""
        nodes = graph.x.shape[0]
        if self.of_edge is None:
            return adjacency(graph.edge_index, nodes).propagate(graph.x, norm="none", self_loops=False)
        source, target = graph.edge_index[0], graph.edge_index[1]
        messages = torch.relu(graph.x[source] + self.of_edge(edge_features(graph)))
        total: Tensor = scatter(messages, target, dim=0, dim_size=nodes, reduce="sum")
        return total
