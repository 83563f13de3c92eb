"""Graph transformer convolution: Shi et al., "Masked label prediction: unified message passing model".

IJCAI 2021, arXiv:2009.03509.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, cast, final

from torch import Tensor, nn

from automl import elastic
from automl.space import SizeLike, as_ordinal
from automl_graph.attention import attend, links_of
from automl_graph.blocks.update import NodeUpdate
from automl_graph.options import require_number, require_share
from automl_graph.signal import Graph, edge_features

__all__ = ["GraphTransformer"]


@final
class GraphTransformer(nn.Module):
    """``out = relu(U concat_h(sum_j a_ij^h V_h x_j) + W x_i + b)``, ``a_i^h = softmax_j(Q_h x_i . K_h x_j / sqrt(head width))``.

    Nodes attend to their neighbours only; what they are themselves enters by ``W``. Features of edges, where a graph has them,
    add ``E_h e_ij`` to the key and to the value of a neighbour. Heads are ordered: fewer are a prefix of more.

    Args:
        inp: width of the input, in features.
        out: width of the output, in features.
        heads: number of attention heads.
        head_width: features of one head.
        attention_dropout: share of attention weights dropped in training.
        residual: add the input to the output; no choice where their widths can differ.
        dropout: share of features dropped in training.
        batch_norm: normalise features over the nodes, before ReLU.
        edge_width: features of an edge, which spaces give; 0 for edges without any.

    Shape:
        x: ``(nodes, inp)``. Returns the same graph with ``(nodes, out)``.

    Cost:
        With ``h = heads * head_width``: ``nodes * (3 * h * inp + h * out + inp * out)`` multiply-accumulates and
        ``2 * edges * h`` element-wise operations. Training keeps about three times ``edges * h`` values.
        Features of edges add ``edges * edge_width * h`` multiply-accumulates.

    Raises:
        SpaceError: an option has a value that does not exist.

    Specialised:
        The same block with ``nn.Linear`` and plain values.

    Source:
        Equations 3 to 5. Deviations: a linear map merges the heads, so that the width of the output and the number of heads do
        not depend on each other; the gated residual connection is left out.

    Example:
        >>> ring = torch.tensor([[0, 1, 2], [1, 2, 0]])
        >>> GraphTransformer(4, 3)(Graph(torch.randn(3, 4), ring)).x.shape
        torch.Size([3, 3])
    """

    def __init__(
        self,
        inp: SizeLike,
        out: SizeLike,
        *,
        heads: int | Sequence[int] = (1, 2, 4),
        head_width: int = 16,
        attention_dropout: float = 0.0,
        residual: bool | Sequence[bool] = (True, False),
        dropout: float = 0.5,
        batch_norm: bool = False,
        edge_width: int = 0,
    ) -> None:
        super().__init__()
        require_number("heads", heads, smallest=1)
        require_number("head_width", head_width, smallest=1)
        require_share("attention_dropout", attention_dropout)
        self.heads: Final = cast(SizeLike, as_ordinal(heads))
        self.head_width: Final = head_width
        self.attention_dropout: Final = attention_dropout
        inner = self.heads * head_width
        self.query = elastic.Linear(inp, inner)
        self.key = elastic.Linear(inp, inner, bias=False)  # a bias would be the same for all neighbours: no effect
        self.value = elastic.Linear(inp, inner)
        self.of_edge = elastic.Linear(edge_width, inner, bias=False) if edge_width else None
        self.merge = elastic.Linear(inner, out, bias=False)
        self.own = elastic.Linear(inp, out)
        self.update = NodeUpdate(inp, out, residual=residual, dropout=dropout, batch_norm=batch_norm)

    def forward(self, graph: Graph) -> Graph:
        """Returns the graph with attended features."""
        links = links_of(graph.edge_index, graph.x.shape[0], self_loops=False)
        query, key, value = (self._heads_of(layer(graph.x)) for layer in (self.query, self.key, self.value))
        keys, added = key[links.source], None
        if self.of_edge is not None:
            added = self._heads_of(self.of_edge(edge_features(graph)))
            keys = keys + added
        scores = (query[links.target] * keys).sum(-1) / math.sqrt(self.head_width)
        mixed = attend(scores, value, links, dropout=self.attention_dropout, training=self.training, added=added)
        return graph._replace(x=self.update(graph.x, self.merge(mixed) + self.own(graph.x)))

    def _heads_of(self, features: Tensor) -> Tensor:
        return features.view(features.shape[0], int(self.heads), self.head_width)
