"""Chebyshev graph convolution: Defferrard, Bresson and Vandergheynst.

"Convolutional neural networks on graphs with fast localized spectral filtering", NeurIPS 2016, arXiv:1606.09375.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast, final

import torch
from torch import nn

from automl import elastic
from automl.space import SizeLike, as_ordinal
from automl_graph.blocks.update import NodeUpdate
from automl_graph.options import require_number
from automl_graph.propagation import adjacency
from automl_graph.repeated_width import RepeatedWidth
from automl_graph.signal import Graph

__all__ = ["Cheb"]


@final
class Cheb(nn.Module):
    """``out = relu(sum_k T_k W_k + b)``, ``T_0 = X``, ``T_1 = L X``, ``T_k = 2 L T_{k-1} - T_{k-2}``, ``L = -D^-1/2 A D^-1/2``.

    Own features and those of each order have weights of their own, so the filter may pass differences between neighbours
    as well as what they share. Orders of a short filter are a prefix of those of a long one.

    Args:
        inp: width of the input, in features.
        out: width of the output, in features.
        orders: number of polynomials, K in the paper; 1 uses no edges.
        residual: add the input to the output; no choice where their widths can differ.
        dropout: share of features dropped in training.
        batch_norm: normalise features over the nodes, before ReLU.

    Shape:
        x: ``(nodes, inp)``. Returns the same graph with ``(nodes, out)``.

    Cost:
        ``(orders - 1) * edges * inp + orders * nodes * inp * out`` multiply-accumulates.

    Raises:
        SpaceError: an option has a value that does not exist.

    Specialised:
        The same block with one ``nn.Linear`` on all orders side by side.

    Source:
        Equation 4 with the largest eigenvalue taken as 2, its bound, which makes the scaled Laplacian ``L`` above.
        Deviation: self loops of a graph count as edges.

    Example:
        >>> ring = torch.tensor([[0, 1, 2], [1, 2, 0]])
        >>> Cheb(4, 3)(Graph(torch.randn(3, 4), ring)).x.shape
        torch.Size([3, 3])
    """

    def __init__(
        self,
        inp: SizeLike,
        out: SizeLike,
        *,
        orders: int | Sequence[int] = (2, 3, 4),
        residual: bool | Sequence[bool] = (True, False),
        dropout: float = 0.5,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        require_number("orders", orders, smallest=1)
        self.orders: Final = cast(SizeLike, as_ordinal(orders))
        self.linear = elastic.Linear(RepeatedWidth(self.orders, inp), out)
        self.update = NodeUpdate(inp, out, residual=residual, dropout=dropout, batch_norm=batch_norm)

    def forward(self, graph: Graph) -> Graph:
        """Returns the graph with filtered features."""
        terms = [graph.x]
        if int(self.orders) > 1:
            matrix = adjacency(graph.edge_index, graph.x.shape[0])
            for order in range(1, int(self.orders)):
                mixed = -matrix.propagate(terms[-1], norm="sym", self_loops=False)
                terms.append(mixed if order == 1 else 2 * mixed - terms[-2])
        return graph._replace(x=self.update(graph.x, self.linear(torch.cat(terms, dim=1))))
