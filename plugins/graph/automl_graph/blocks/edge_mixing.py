"""Message passing for use beside a global layer: what a node adds from its neighbours."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from automl import elastic
from automl.space import SizeLike
from automl_graph.propagation import adjacency
from automl_graph.pyg import scatter

__all__ = ["GINE", "GatedGCN", "NoMixing"]


@final
class NoMixing(nn.Module):
    """Nothing from the neighbours; takes a width as the others do."""

    def __init__(self, width: SizeLike) -> None:
        super().__init__()

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """Returns zeros."""
        return torch.zeros_like(x)


@final
class GINE(nn.Module):
    """``W2 relu(W1 (x_i + sum_j relu(x_j)))`` over the neighbours j.

    Args:
        width: width of the features.

    Shape:
        x: ``(nodes, width)``; edge_index: ``(2, edges)``. Returns ``(nodes, width)``.

    Source:
        Hu et al. 2020, arXiv:1905.12265, on edges without features.
    """

    def __init__(self, width: SizeLike) -> None:
        super().__init__()
        self.hidden = elastic.Linear(width, width)
        self.leave = elastic.Linear(width, width)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """Returns the update of every node."""
        messages = adjacency(edge_index, x.shape[0]).propagate(torch.relu(x), norm="none", self_loops=False)
        update: Tensor = self.leave(torch.relu(self.hidden(x + messages)))
        return update


@final
class GatedGCN(nn.Module):
    """``relu(A x_i + sum_j g_ij * B x_j / (sum_j g_ij + 1e-6))`` with gates ``g_ij = sigmoid(D x_i + E x_j)``, by feature.

    Args:
        width: width of the features.

    Shape:
        x: ``(nodes, width)``; edge_index: ``(2, edges)``. Returns ``(nodes, width)``.

    Source:
        Bresson and Laurent 2017, arXiv:1711.07553, as in Dwivedi et al. 2020, on edges without features or state; no batch
        normalisation.
    """

    def __init__(self, width: SizeLike) -> None:
        super().__init__()
        self.own = elastic.Linear(width, width)
        self.value = elastic.Linear(width, width)
        self.gate_target = elastic.Linear(width, width)
        self.gate_source = elastic.Linear(width, width, bias=False)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """Returns the update of every node."""
        source, target = edge_index[0], edge_index[1]
        gates = torch.sigmoid(self.gate_target(x)[target] + self.gate_source(x)[source])
        values = self.value(x)[source]
        total, weight = (
            scatter(terms, target, dim=0, dim_size=x.shape[0], reduce="sum") for terms in (gates * values, gates)
        )
        return torch.relu(self.own(x) + total / (weight + 1e-6))
