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
from automl_graph.signal import Graph

__all__ = ["GIN"]


@final
class GIN(nn.Module):
    """``out = relu(MLP((1 + eps) x_i + sum_j x_j))``, with a perceptron of two linear layers.

    Sums keep how many neighbours there are, which means and maxima forget.

    Args:
        inp: width of the input, in features.
        out: width of the output, in features.
        hidden: width inside the perceptron, in features.
        eps: how much more a node counts than one of its neighbours.
        residual: add the input to the output; no choice where their widths can differ.
        dropout: share of features dropped in training.
        batch_norm: normalise the hidden features over the nodes (paper); sums over many neighbours are large without it.

    Shape:
        x: ``(nodes, inp)``. Returns the same graph with ``(nodes, out)``.

    Cost:
        ``edges * inp + nodes * hidden * (inp + out)`` multiply-accumulates.

    Raises:
        SpaceError: an option has a value that does not exist.

    Specialised:
        The same block with ``nn.Linear`` and plain values.

    Source:
        Equation 4.1. Deviation: ``eps`` is a number or a choice, not learned; 0 is GIN-0 of the paper.

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
    ) -> None:
        super().__init__()
        require_number("hidden", hidden, smallest=1)
        self.hidden: Final = cast(SizeLike, as_ordinal(hidden))
        self.eps: Final = as_categorical(eps)
        self.first = elastic.Linear(inp, self.hidden)
        self.normalise = elastic.BatchNorm1d(self.hidden) if batch_norm else nn.Identity()
        self.second = elastic.Linear(self.hidden, out)
        self.update = NodeUpdate(inp, out, residual=residual, dropout=dropout, batch_norm=False)

    def forward(self, graph: Graph) -> Graph:
        """Returns the graph with convolved features."""
        near = adjacency(graph.edge_index, graph.x.shape[0]).propagate(graph.x, norm="none", self_loops=False)
        total = (1 + current_choice(self.eps)) * graph.x + near
        features: Tensor = self.second(torch.relu(self.normalise(self.first(total))))
        return graph._replace(x=self.update(graph.x, features))
