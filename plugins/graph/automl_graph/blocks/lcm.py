"""Message passing whose aggregation is searched: fixed, recurrent or a learnable commutative monoid.

Ong and Veličković, "Learnable commutative monoids for graph neural networks", Learning on Graphs 2022, PMLR 198:43,
arXiv:2212.08541.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import nn

from automl import elastic
from automl.space import SizeLike
from automl_graph.aggregators import build_aggregator
from automl_graph.aggregators.cells import CELLS
from automl_graph.blocks.update import NodeUpdate
from automl_graph.options import require_choice
from automl_graph.signal import Graph

__all__ = ["LCM"]


@final
class LCM(nn.Module):
    """``out_i = relu(W x_i + aggregate(relu(M x_j) for j -> i) + b)``, then dropout and an optional residual connection.

    Args:
        inp: width of the input, in features.
        out: width of the output, of the messages and of their states, in features.
        aggregation: how messages are combined: ``sum``, ``mean``, ``max``; ``gru`` reads one after the other; ``lcm`` folds them
            with a learned operator; ``gru_reg`` and ``lcm_reg`` are trained towards independence of the order; ``lcm_exact`` is
            independent by construction.
        cell: cell of the learned operator: ``gru``, ``mlp`` or ``bilinear``.
        tree: ``balanced``, or ``left_fold`` for comparison.
        regularisation: weight of the training losses of the two regularised ones.
        max_degree: messages of a node that learned aggregations take at most.
        residual: add the input to the output; no choice where their widths can differ.
        dropout: share of features dropped in training.
        batch_norm: normalise features over the nodes, before ReLU.

    Shape:
        x: ``(nodes, inp)``. Returns the same graph with ``(nodes, out)``.

    Cost:
        ``2 * nodes * inp * out`` multiply-accumulates and the aggregation: ``edges * 12 * out²`` for ``lcm``, half of that for
        ``gru``, which however takes as many steps in a row as the largest degree.

    Raises:
        SpaceError: an option has a value that does not exist.

    Specialised:
        The same block with ``nn.Linear``, ``nn.GRUCell`` and the chosen aggregator.

    Source:
        The aggregators of the paper. Deviations: messages are always projected; the weight of a training loss is a number and not
        searched, since it leaves no trace in a network.

    Example:
        >>> ring = torch.tensor([[0, 1, 2], [1, 2, 0]])
        >>> LCM(4, 3, aggregation="lcm")(Graph(torch.randn(3, 4), ring)).x.shape
        torch.Size([3, 3])
    """

    def __init__(
        self,
        inp: SizeLike,
        out: SizeLike,
        *,
        aggregation: str | Sequence[str] = ("sum", "mean", "max", "gru", "gru_reg", "lcm", "lcm_exact", "lcm_reg"),
        cell: str = "gru",
        tree: str = "balanced",
        regularisation: float = 0.1,
        max_degree: int = 64,
        residual: bool | Sequence[bool] = (True, False),
        dropout: float = 0.5,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        require_choice("cell", cell, CELLS)
        require_choice("tree", tree, ("balanced", "left_fold"))
        self.own = elastic.Linear(inp, out)
        self.message = elastic.Linear(inp, out)
        self.aggregate = build_aggregator(
            "aggregation",
            aggregation,
            out,
            max_messages=max_degree,
            cell=cell,
            tree=tree,
            regularisation=regularisation,
        )
        self.update = NodeUpdate(inp, out, residual=residual, dropout=dropout, batch_norm=batch_norm)

    def forward(self, graph: Graph) -> Graph:
        """Returns the graph with convolved features."""
        source, target = graph.edge_index[0], graph.edge_index[1]
        messages = torch.relu(self.message(graph.x))[source]
        combined = self.aggregate(messages, target, graph.x.shape[0])
        return graph._replace(x=self.update(graph.x, self.own(graph.x) + combined))
