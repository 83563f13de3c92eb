"""HAN: Wang et al., "Heterogeneous graph attention network".

WWW 2019, arXiv:1903.07293.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from automl import elastic
from automl.space import SizeLike, as_ordinal
from automl_graph.attention import Links, attend, score_heads
from automl_graph.hetero.joining import JoinedEdges, joined_edges, meta_relations
from automl_graph.hetero.schema import Schema
from automl_graph.hetero.signal import HeteroGraph
from automl_graph.hetero.type_linear import TypeLinear
from automl_graph.options import require_choice, require_number, require_share
from automl_graph.repeated_width import RepeatedWidth

__all__ = ["HAN"]


@final
class HAN(nn.Module):
    """Attention inside each relation, then one weight per relation for all nodes of a type.

    ``z_i^phi = relu(sum_j a_ij W x_j)`` with ``a_i = softmax_j(leaky_relu(s_phi W x_j + t_phi W x_i))``; relations weigh
    ``softmax_phi(mean_i q . tanh(K z_i^phi + k))``; a linear layer per type gives the output. Relations are those of the graph
    (order 1) or pairs of them that lead back to the type they start from (order 2), which are the meta-paths of the paper.

    Args:
        inp: width of the input, or of each type.
        out: width of the output, in features.
        schema: types and relations.
        order: 1 or 2.
        heads: attention heads.
        head_width: features of one attention head.
        slope: of the leaky ReLU below zero.
        joined_edges: ``"all"``, or ``"sampled"``: no more than the smaller of both joined relations has.
        updates: ``"labelled"``: only nodes of the first type look at others.
        attention_dropout: share of attention weights dropped in training.
        dropout: share of features dropped in training.

    Shape:
        x: for each type ``(nodes, inp)``. Returns the same graph with ``(nodes, out)``.

    Cost:
        For each relation ``edges * heads * head_width`` element-wise operations, for each type two linear layers.

    Raises:
        SpaceError: an option has a value that does not exist.

    Specialised:
        The same block with ``nn.Linear`` and plain values.

    Source:
        Equations 1 to 9, in the form of ``torch_geometric.nn.HANConv``. Deviations: a linear map gives the width of the slot;
        types without relations pass their own features on.

    Example:
        >>> from automl_graph.hetero import Relation
        >>> block = HAN(4, 3, schema=Schema(("p", "a"), (Relation("by", "p", "a"),)))
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
        order: int = 1,
        heads: int | Sequence[int] = (1, 2, 4),
        head_width: int | Sequence[int] = 16,
        slope: float = 0.2,
        joined_edges: JoinedEdges = "all",
        updates: str = "all",
        attention_dropout: float = 0.2,
        dropout: float = 0.4,
    ) -> None:
        super().__init__()
        require_choice("order", order, (1, 2))
        require_number("heads", heads, smallest=1)
        require_number("head_width", head_width, smallest=1)
        require_choice("joined_edges", joined_edges, ("all", "sampled"))
        require_choice("updates", updates, ("all", "labelled"))
        require_share("attention_dropout", attention_dropout)
        require_share("dropout", dropout)
        self.schema: Final = schema
        self.relations: Final = tuple(
            relation
            for relation in meta_relations(schema, order)[-1]
            if (order == 1 or relation.head == relation.tail) and (updates == "all" or relation.head == 0)
        )
        self.heads: Final = cast(SizeLike, as_ordinal(heads))
        self.head_width: Final = cast(SizeLike, as_ordinal(head_width))
        self.slope: Final = slope
        self.joined_edges: Final = joined_edges
        self.attention_dropout: Final = attention_dropout
        width = RepeatedWidth(self.heads, self.head_width)
        every_type = range(len(schema.types))
        self.project = TypeLinear(inp, width, every_type)
        self.heads_score = nn.ModuleList(
            elastic.Linear(self.head_width, self.heads, bias=False) for _ in self.relations
        )
        self.tails_score = nn.ModuleList(
            elastic.Linear(self.head_width, self.heads, bias=False) for _ in self.relations
        )
        choosing = [t for t in every_type if sum(relation.head == t for relation in self.relations) > 1]
        self.key = elastic.Linear(width, width) if choosing else None
        self.query = elastic.Linear(width, 1, bias=False) if choosing else None
        self.merge = TypeLinear(width, out, every_type)
        self.drop = nn.Dropout(dropout)

    def forward(self, graph: HeteroGraph) -> HeteroGraph:
        """Returns the graph with attended features."""
        projected = {
            t: x.view(x.shape[0], int(self.heads), int(self.head_width)) for t, x in self.project(graph.x).items()
        }
        gathered: dict[int, list[Tensor]] = {t: [] for t in projected}
        for relation, of_head, of_tail in zip(self.relations, self.heads_score, self.tails_score, strict=True):
            index = joined_edges(graph, relation, self.schema, self.joined_edges).index
            heads, tails = projected[relation.head], projected[relation.tail]
            scores = score_heads(heads, of_head)[index[0]] + score_heads(tails, of_tail)[index[1]]
            links = Links(index[1], index[0], heads.shape[0], None)
            mixed = attend(
                F.leaky_relu(scores, self.slope), tails, links, dropout=self.attention_dropout, training=self.training
            )
            gathered[relation.head].append(torch.relu(mixed))
        chosen = [self._choose(found) if found else projected[t].flatten(1) for t, found in gathered.items()]
        return graph._replace(x=tuple(self.drop(x) for x in self.merge(chosen).values()))

    def _choose(self, found: Sequence[Tensor]) -> Tensor:
        if len(found) == 1 or self.key is None or self.query is None:
            return found[0]
        nodes = torch.sym_max(found[0].shape[0], 1)  # type: ignore[no-untyped-call]  # a type may have no nodes
        scores = torch.stack([self.query(torch.tanh(self.key(z)).sum(0) / nodes) for z in found])
        return (torch.softmax(scores, dim=0)[:, :, None] * torch.stack(list(found))).sum(0)
