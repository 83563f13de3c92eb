"""HGT: Hu et al., "Heterogeneous graph transformer".

WWW 2020, arXiv:2003.01332.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, cast, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from automl import elastic
from automl.space import SizeLike, as_ordinal
from automl_graph.attention import Links, attend
from automl_graph.hetero.schema import Schema
from automl_graph.hetero.signal import HeteroGraph
from automl_graph.hetero.type_linear import TypeLinear
from automl_graph.options import require_number, require_share
from automl_graph.repeated_width import RepeatedWidth

__all__ = ["HGT"]


@final
class RelationMap(nn.Module):
    """One matrix for each attention head.

    Shape:
        x: ``(nodes, heads, head_width)``. Returns the same shape.
    """

    def __init__(self, heads: int, head_width: SizeLike) -> None:
        super().__init__()
        self.maps = nn.ModuleList(elastic.Linear(head_width, head_width, bias=False) for _ in range(heads))

    def forward(self, x: Tensor) -> Tensor:
        """Returns the mapped features."""
        return torch.stack([layer(x[:, head]) for head, layer in enumerate(self.maps)], dim=1)


@final
class HGT(nn.Module):
    """Dot-product attention over the neighbours of all relations at once, with a matrix per relation and head.

    ``a_i = softmax_j(p_phi Q_a x_i . M_phi K_c x_j / sqrt(head width))`` over all edges with head ``i``, whatever their relation
    ``phi``; ``out_i = W_a gelu(sum_j a_ij N_phi V_c x_j) + b_a``, mixed with ``x_i`` by a learned share where widths are equal.

    Args:
        inp: width of the input, or of each type.
        out: width of the output, in features.
        schema: types and relations.
        heads: attention heads.
        head_width: features of one attention head.
        attention_dropout: share of attention weights dropped in training.
        dropout: share of features dropped in training.

    Shape:
        x: for each type ``(nodes, inp)``. Returns the same graph with ``(nodes, out)``.

    Cost:
        For each relation ``2 * tails * heads * head_width ** 2`` multiply-accumulates and ``2 * edges * heads * head_width``
        element-wise operations, for each type four linear layers.

    Raises:
        SpaceError: an option has a value that does not exist.

    Specialised:
        The same block with ``nn.Linear`` and plain values.

    Source:
        Equations 1 to 5, in the form of ``torch_geometric.nn.HGTConv``. Deviations: the width of the output does not depend on
        the heads; types without relations pass on what nodes without neighbours do.

    Example:
        >>> from automl_graph.hetero import Relation
        >>> block = HGT(4, 3, schema=Schema(("p", "a"), (Relation("by", "p", "a"),)))
        >>> graph = HeteroGraph((torch.randn(2, 4), torch.randn(5, 4)), (torch.tensor([[0, 1], [4, 2]]),))
        >>> [tuple(x.shape) for x in block(graph).x]
        [(2, 3), (5, 3)]
    """

    def __init__(
        self,
        inp: SizeLike,
        out: SizeLike,
        *,
        schema: Schema,
        heads: int = 2,
        head_width: int | Sequence[int] = (8, 16),
        attention_dropout: float = 0.2,
        dropout: float = 0.4,
    ) -> None:
        super().__init__()
        require_number("heads", heads, smallest=1)
        require_number("head_width", head_width, smallest=1)
        require_share("attention_dropout", attention_dropout)
        require_share("dropout", dropout)
        self.schema: Final = schema
        self.heads: Final = heads
        self.head_width: Final = cast(SizeLike, as_ordinal(head_width))
        self.attention_dropout: Final = attention_dropout
        width = RepeatedWidth(heads, self.head_width)
        every_type = range(len(schema.types))
        ends = [schema.ends(relation) for relation in range(len(schema.relations))]
        tails = sorted({tail for _, tail in ends})
        self.query = TypeLinear(inp, width, sorted({head for head, _ in ends}))
        self.key = TypeLinear(inp, width, tails)
        self.value = TypeLinear(inp, width, tails)
        self.key_maps = nn.ModuleList(RelationMap(heads, self.head_width) for _ in ends)
        self.value_maps = nn.ModuleList(RelationMap(heads, self.head_width) for _ in ends)
        self.prior = nn.ParameterList(nn.Parameter(torch.ones(heads)) for _ in ends)
        self.merge = TypeLinear(width, out, every_type)
        same_width = inp is out or (isinstance(inp, int) and isinstance(out, int) and inp == out)
        self.share = nn.Parameter(torch.ones(len(schema.types))) if same_width else None
        self.drop = nn.Dropout(dropout)

    def forward(self, graph: HeteroGraph) -> HeteroGraph:
        """Returns the graph with attended features."""
        query, key, value = (self._heads_of(layer, graph) for layer in (self.query, self.key, self.value))
        mixed = []
        for t, x in enumerate(graph.x):
            incoming = [r for r in range(len(graph.edges)) if self.schema.ends(r)[0] == t]
            mixed.append(
                self._attend(graph, query[t], key, value, incoming)
                if incoming
                else torch.zeros(x.shape[0], self.heads * int(self.head_width), dtype=self._dtype, device=x.device)
            )
        merged = self.merge([F.gelu(x) for x in mixed])
        outputs = []
        for t, y in merged.items():
            y = self.drop(y)
            if self.share is not None:
                share = torch.sigmoid(self.share[t])
                y = share * y + (1 - share) * graph.x[t]
            outputs.append(y)
        return graph._replace(x=tuple(outputs))

    def _attend(
        self,
        graph: HeteroGraph,
        query: Tensor,
        key: dict[int, Tensor],
        value: dict[int, Tensor],
        relations: Sequence[int],
    ) -> Tensor:
        scores, values, sources, targets = [], [], [], []
        first = 0  # tails of all relations are numbered one after another
        for r in relations:
            tail = self.schema.ends(r)[1]
            index, keys = graph.edges[r], self.key_maps[r](key[tail])
            scores.append((query[index[0]] * keys[index[1]]).sum(-1) * self.prior[r] / math.sqrt(int(self.head_width)))
            values.append(self.value_maps[r](value[tail]))
            sources.append(index[1] + first)
            targets.append(index[0])
            first += values[-1].shape[0]
        links = Links(torch.cat(sources), torch.cat(targets), query.shape[0], None)
        return attend(
            torch.cat(scores), torch.cat(values), links, dropout=self.attention_dropout, training=self.training
        )

    @property
    def _dtype(self) -> torch.dtype:
        return next(self.parameters()).dtype  # numbered nodes are integers

    def _heads_of(self, layer: TypeLinear, graph: HeteroGraph) -> dict[int, Tensor]:
        return {t: x.view(x.shape[0], self.heads, int(self.head_width)) for t, x in layer(graph.x).items()}
