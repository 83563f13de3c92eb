"""Features and neighbourhoods apart: Lim et al., "Large scale learning on non-homophilous graphs".

NeurIPS 2021, arXiv:2110.14446.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast, final

import torch
from torch import nn

from automl import elastic
from automl.space import SizeLike, as_ordinal
from automl_graph.blocks.update import NodeUpdate
from automl_graph.options import require_choice, require_number
from automl_graph.propagation import Normalisation, adjacency
from automl_graph.signal import Graph

__all__ = ["LINKX"]


@final
class LINKX(nn.Module):
    """``out = relu(U relu(a + W_a a + x + W_x x))`` with ``a = N X V`` from the neighbours and ``x = X T + b`` from the node.

    Nodes and neighbourhoods are transformed by weights of their own before they meet, so nothing is smoothed where
    neighbours differ in class.

    Args:
        inp: width of the input, in features.
        out: width of the output, in features.
        hidden: width in which the two meet, in features.
        norm: whether neighbours are added up (``none``, as in the paper) or averaged (``row``).
        residual: add the input to the output; no choice where their widths can differ.
        dropout: share of features dropped in training.
        batch_norm: normalise features over the nodes, before the last ReLU.

    Shape:
        x: ``(nodes, inp)``. Returns the same graph with ``(nodes, out)``.

    Cost:
        ``edges * hidden + nodes * hidden * (2 * inp + 2 * hidden + out)`` multiply-accumulates.

    Raises:
        SpaceError: an option has a value that does not exist.

    Specialised:
        The same block with ``nn.Linear`` and plain values.

    Source:
        Equations 3 to 5 with perceptrons of one layer. Deviation: the paper embeds a neighbourhood with one learned row for
        each node of the graph, which ties a network to that graph. Here the rows are a linear map of the features of the
        nodes, so that a network takes graphs of any size; ``row`` is an addition.

    Example:
        >>> ring = torch.tensor([[0, 1, 2], [1, 2, 0]])
        >>> LINKX(4, 3)(Graph(torch.randn(3, 4), ring)).x.shape
        torch.Size([3, 3])
    """

    def __init__(
        self,
        inp: SizeLike,
        out: SizeLike,
        *,
        hidden: int | Sequence[int] = (32, 64),
        norm: str = "row",
        residual: bool | Sequence[bool] = (True, False),
        dropout: float = 0.5,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        require_number("hidden", hidden, smallest=1)
        require_choice("norm", norm, ("none", "row"))
        self.hidden: Final = cast(SizeLike, as_ordinal(hidden))
        self.norm: Final = cast(Normalisation, norm)
        self.near = elastic.Linear(inp, self.hidden, bias=False)
        self.own = elastic.Linear(inp, self.hidden)
        self.mix_near = elastic.Linear(self.hidden, self.hidden)
        self.mix_own = elastic.Linear(self.hidden, self.hidden)
        self.last = elastic.Linear(self.hidden, out)
        self.update = NodeUpdate(inp, out, residual=residual, dropout=dropout, batch_norm=batch_norm)

    def forward(self, graph: Graph) -> Graph:
        """Returns the graph with joined features."""
        matrix = adjacency(graph.edge_index, graph.x.shape[0])
        near = matrix.propagate(self.near(graph.x), norm=self.norm, self_loops=False)
        own = self.own(graph.x)
        joined = torch.relu(near + self.mix_near(near) + own + self.mix_own(own))
        return graph._replace(x=self.update(graph.x, self.last(joined)))
