"""Graph attention: Velickovic et al., "Graph attention networks".

ICLR 2018, arXiv:1710.10903.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast, final

from torch import Tensor, nn
from torch.nn import functional as F

from automl import elastic
from automl.space import SizeLike, as_ordinal
from automl_graph.attention import attend, link_features, links_of, score_heads
from automl_graph.blocks.update import NodeUpdate
from automl_graph.options import require_number, require_share
from automl_graph.signal import Graph, edge_features

__all__ = ["GAT"]


@final
class GAT(nn.Module):
    """``out = relu(U concat_h(sum_j a_ij^h W_h x_j) + b)``, ``a_i^h = softmax_j(leaky_relu(s_h W_h x_j + t_h W_h x_i))``.

    Features of edges, where a graph has them, add ``E_h e_ij`` to a score before the leaky ReLU. Every node attends to itself
    once; such a self loop has the mean of the features of all edges into its node. Heads are ordered: fewer are a prefix of more.

    Args:
        inp: width of the input, in features.
        out: width of the output, in features.
        heads: number of attention heads.
        head_width: features of one head.
        slope: of the leaky ReLU below zero.
        attention_dropout: share of attention weights dropped in training.
        residual: add the input to the output; no choice where their widths can differ.
        dropout: share of features dropped in training.
        batch_norm: normalise features over the nodes, before ReLU.
        edge_width: features of an edge, which spaces give; 0 for edges without any.

    Shape:
        x: ``(nodes, inp)``. Returns the same graph with ``(nodes, out)``.

    Cost:
        With ``h = heads * head_width``: ``nodes * h * (inp + out + 2 * heads)`` multiply-accumulates and ``3 * (edges + nodes) *
        h`` element-wise operations. Training keeps ``(edges + nodes) * h`` values.
        Features of edges add ``(edges + nodes) * edge_width * heads`` multiply-accumulates.

    Raises:
        SpaceError: an option has a value that does not exist.

    Specialised:
        The same block with ``nn.Linear`` and plain values.

    Source:
        Equations 1 to 5. Deviation: a linear map merges the heads, so that the width of the output and the number of heads
        do not depend on each other. The paper has no features of edges; ``E_h`` is the product of the two maps that they pass
        through in torch-geometric's ``GATConv``.

    Example:
        >>> ring = torch.tensor([[0, 1, 2], [1, 2, 0]])
        >>> GAT(4, 3)(Graph(torch.randn(3, 4), ring)).x.shape
        torch.Size([3, 3])
    """

    def __init__(
        self,
        inp: SizeLike,
        out: SizeLike,
        *,
        heads: int | Sequence[int] = (1, 2, 4),
        head_width: int = 16,
        slope: float = 0.2,
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
        self.slope: Final = slope
        self.attention_dropout: Final = attention_dropout
        self.transform = elastic.Linear(inp, self.heads * head_width, bias=False)
        self.as_source = elastic.Linear(head_width, self.heads, bias=False)
        self.as_target = elastic.Linear(head_width, self.heads, bias=False)
        self.of_edge = elastic.Linear(edge_width, self.heads, bias=False) if edge_width else None
        self.merge = elastic.Linear(self.heads * head_width, out)
        self.update = NodeUpdate(inp, out, residual=residual, dropout=dropout, batch_norm=batch_norm)

    def forward(self, graph: Graph) -> Graph:
        """Returns the graph with attended features."""
        nodes = graph.x.shape[0]
        links = links_of(graph.edge_index, nodes, self_loops=True)
        values: Tensor = self.transform(graph.x).view(nodes, int(self.heads), self.head_width)
        sent, received = score_heads(values, self.as_source), score_heads(values, self.as_target)
        scores = sent[links.source] + received[links.target]
        if self.of_edge is not None:
            scores = scores + self.of_edge(link_features(edge_features(graph), links))
        scores = F.leaky_relu(scores, self.slope)
        mixed = attend(scores, values, links, dropout=self.attention_dropout, training=self.training)
        return graph._replace(x=self.update(graph.x, self.merge(mixed)))
