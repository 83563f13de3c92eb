"""Convolutions over the neighbours of a node, before activation, as candidates of other blocks."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from automl import elastic
from automl.space import SizeLike
from automl_graph.propagation import adjacency
from automl_graph.pyg import scatter

__all__ = ["AttentionConv", "MeanConv", "SymmetricConv"]


@final
class MeanConv(nn.Module):
    """``W_self x_i + W_near mean(x_j) + b``: GraphSAGE (Hamilton et al. 2017); no neighbours count as zeros.

    Args:
        inp: width of the input, in features.
        out: width of the output, in features.

    Shape:
        x: ``(nodes, inp)``; edge_index: ``(2, edges)``. Returns ``(nodes, out)``.
    """

    def __init__(self, inp: SizeLike, out: SizeLike) -> None:
        super().__init__()
        self.own = elastic.Linear(inp, out)
        self.near = elastic.Linear(inp, out, bias=False)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """Returns the convolved features."""
        mean = adjacency(edge_index, x.shape[0]).propagate(x, norm="row", self_loops=False)
        result: Tensor = self.own(x) + self.near(mean)
        return result


@final
class SymmetricConv(nn.Module):
    """``Â X W + b`` with ``Â = D^-1/2 (A + I) D^-1/2``: GCN (Kipf and Welling 2017). Arguments and shapes as ``MeanConv``."""

    def __init__(self, inp: SizeLike, out: SizeLike) -> None:
        super().__init__()
        self.linear = elastic.Linear(inp, out)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """Returns the convolved features."""
        mixed = adjacency(edge_index, x.shape[0]).propagate(x, norm="sym", self_loops=True)
        result: Tensor = self.linear(mixed)
        return result


@final
class AttentionConv(nn.Module):
    """``sum_j softmax_j(leaky_relu(s·Wx_j + t·Wx_i)) Wx_j + b`` over the neighbours and the node itself.

    One head of GAT (Veličković et al. 2018, arXiv:1710.10903). Arguments and shapes as ``MeanConv``.
    """

    def __init__(self, inp: SizeLike, out: SizeLike) -> None:
        super().__init__()
        self.linear = elastic.Linear(inp, out)
        self.source = elastic.Linear(out, 1, bias=False)
        self.target = elastic.Linear(out, 1, bias=False)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """Returns the convolved features."""
        source, target = edge_index[0], edge_index[1]
        nodes, values = x.shape[0], self.linear(x)
        of_source, of_target = self.source(values)[:, 0], self.target(values)[:, 0]
        own = F.leaky_relu(of_source + of_target, 0.2)
        near = F.leaky_relu(of_source[source] + of_target[target], 0.2)
        largest = torch.maximum(own, scatter(near, target, dim=0, dim_size=nodes, reduce="max")).detach()
        # A self loop in the data is the node itself, which counts once.
        weight = torch.exp(near - largest[target]) * (source != target)
        weight_of_own = torch.exp(own - largest)
        total = scatter(weight[:, None] * values[source], target, dim=0, dim_size=nodes, reduce="sum")
        norm = scatter(weight, target, dim=0, dim_size=nodes, reduce="sum") + weight_of_own
        result: Tensor = (total + weight_of_own[:, None] * values) / norm[:, None]
        return result
