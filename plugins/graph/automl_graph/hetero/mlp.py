"""A layer on every node of a heterogeneous graph, without edges: the baseline, and the entrance for types of unequal width."""

from __future__ import annotations

from typing import final

import torch
from torch import nn

from automl.space import SizeLike
from automl_graph.hetero.schema import Schema
from automl_graph.hetero.signal import HeteroGraph
from automl_graph.hetero.type_linear import TypeLinear
from automl_graph.options import require_share

__all__ = ["HeteroMLP"]


@final
class HeteroMLP(nn.Module):
    """``out_i = dropout(relu(W_a x_i + b_a))`` for nodes ``i`` of type ``a``.

    Args:
        inp: width of the input, or of each type.
        out: width of the output, in features.
        schema: types and relations.
        dropout: share of features dropped in training.

    Shape:
        x: for each type ``(nodes, inp)``. Returns the same graph with ``(nodes, out)``.

    Cost:
        ``nodes * inp * out`` multiply-accumulates for each type; none for numbered nodes.

    Specialised:
        The same block with ``nn.Linear``.

    Example:
        >>> block = HeteroMLP(4, 3, schema=Schema(("p", "a"), ()))
        >>> [tuple(x.shape) for x in block(HeteroGraph((torch.randn(2, 4), torch.randn(5, 4)), ())).x]
        [(2, 3), (5, 3)]
    """

    def __init__(self, inp: SizeLike, out: SizeLike, *, schema: Schema, dropout: float = 0.2) -> None:
        super().__init__()
        require_share("dropout", dropout)
        self.linear = TypeLinear(inp, out, range(len(schema.types)))
        self.drop = nn.Dropout(dropout)

    def forward(self, graph: HeteroGraph) -> HeteroGraph:
        """Returns the graph with transformed features."""
        return graph._replace(x=tuple(self.drop(torch.relu(x)) for x in self.linear(graph.x).values()))
